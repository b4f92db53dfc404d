"""Small inline drawings of an interval beside what it is compared with."""

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from benchmarks.report.compare import Cell, number
from benchmarks.statistics.claims import Outcome

WIDTH, HEIGHT = 200, 26


def drawing(
    point: float,
    interval: tuple[float, float] | None,
    band: tuple[float, float],
    label: str,
    dots: Iterable[float] = (),
) -> Markup:
    """A point with its interval over a band of accepted values; seeds as dots. `label` says it in words."""
    dots = list(dots)
    ends = [point, *band, *dots, *(interval or ())]
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room

    def x(value: float) -> str:
        return f"{(value - low) / (high - low) * WIDTH:.1f}"

    middle = HEIGHT / 2
    width = max((band[1] - band[0]) / (high - low) * WIDTH, 1.5)
    rectangle = Markup('<rect class="band" x="{}" y="2" width="{:.1f}" height="{}"/>')
    parts = [rectangle.format(x(band[0]), width, HEIGHT - 4)]
    if interval is not None:
        parts.append(Markup('<path class="reach" d="M{} {}H{}"/>').format(x(interval[0]), middle, x(interval[1])))
    parts += [Markup('<circle class="seed" cx="{}" cy="{}" r="2"/>').format(x(dot), middle + 7) for dot in dots]
    parts.append(Markup('<circle class="point" cx="{}" cy="{}" r="4"/>').format(x(point), middle))
    head = Markup('<svg class="interval" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">')
    return head.format(WIDTH, HEIGHT, label) + Markup().join(parts) + Markup("</svg>")


def of_outcome(outcome: Outcome) -> Markup:
    """A claim's effect over the values that would support it by its sign, nothing without an effect."""
    if outcome.effect is None:
        return Markup()
    interval = None
    if outcome.low is not None and outcome.high is not None and math.isfinite(outcome.high - outcome.low):
        interval = outcome.low, outcome.high
    words = f"effect {number(outcome.effect)}"
    if interval:
        words += f", 95 % interval {number(interval[0])} to {number(interval[1])}"
    return drawing(outcome.effect, interval, outcome.claim.between or (0.0, 0.0), words)


def of_cell(cell: Cell) -> Markup:
    """Our mean, seeds and interval over the paper's value with its margin; nothing where one of them is missing."""
    if cell.mean is None or cell.published is None:
        return Markup()
    half, margin, paper = cell.half_width or 0.0, cell.margin or 0.0, cell.published.value
    words = f"ours {number(cell.mean)}, paper {number(paper)}"
    dots: Sequence[float] = list(cell.values.values()) if len(cell.values) > 1 else []
    return drawing(cell.mean, (cell.mean - half, cell.mean + half), (paper - margin, paper + margin), words, dots)
