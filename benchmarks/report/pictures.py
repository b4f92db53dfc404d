"""Pictures of a run beside the page: learning curves as SVG, strips of samples and reconstructions as PNG.

The SVG carries no text and no background, so that one file serves a light and a dark page; the page writes the numbers.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy
import pandas
from PIL import Image

from benchmarks.errors import NotRunError
from benchmarks.plan.suite import Suite
from benchmarks.report.faults import Faults
from benchmarks.report.figures import artefact, tile
from benchmarks.report.slugs import slug

WIDTH, HEIGHT = 240, 72
POINTS = 100  # of a curve: more than its pixels show
ACROSS = 16  # images of a strip


@dataclass(frozen=True)
class Curve:
    """The loss of one player of a run, all seeds in one picture."""

    player: str
    file: str
    first: float
    last: float
    rounds: int
    seeds: int


@dataclass(frozen=True)
class Strip:
    """Sixteen images of one run in a row."""

    run: str
    file: str


def histories(suite: Suite, run: str) -> list[pandas.DataFrame]:
    """The losses of each seed that has some, by round."""
    folder = Path("results") / suite.name / run
    return [pandas.read_parquet(path) for path in sorted(folder.glob("seed*/history.parquet"))]


def line(steps: numpy.ndarray, values: numpy.ndarray, last: float, low: float, high: float) -> str:
    """The points of a polyline: means over equal pieces, so that noise does not hide the course."""
    pieces = min(POINTS, len(values))
    x = [piece.mean() / last * WIDTH for piece in numpy.array_split(steps, pieces)]
    height = HEIGHT - 4
    y = [
        (high - min(max(piece.mean(), low), high)) / (high - low) * height + 2
        for piece in numpy.array_split(values, pieces)
    ]
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def curve_svg(found: list[tuple[numpy.ndarray, numpy.ndarray]]) -> str:
    """One line for each seed's (rounds, losses); the scale leaves out the wildest hundredth at either end."""
    every = numpy.concatenate([values for _, values in found])
    low, high = (float(v) for v in numpy.quantile(every, [0.01, 0.99]))
    if high <= low:
        low, high = low - 1, high + 1
    last = max(float(steps[-1]) for steps, _ in found) or 1.0
    lines = "".join(f'<polyline points="{line(steps, values, last, low, high)}"/>' for steps, values in found)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<path d="M0 {HEIGHT}H{WIDTH}" stroke="#8a929c" stroke-opacity=".6"/>'
        f'<g fill="none" stroke="#3d85d1" stroke-width="1.6" stroke-linejoin="round">{lines}</g></svg>'
    )


def curves(suite: Suite, run: str, folder: Path) -> list[Curve]:
    """Write curves/<run>-<player>.svg for each player of the run; what was written."""
    (folder / "curves").mkdir(exist_ok=True)
    frames, made = histories(suite, run), []
    for player in dict.fromkeys(column for frame in frames for column in frame.columns if column != "step"):
        found = []
        for frame in frames:
            if player in frame:
                kept = frame[["step", player]].dropna()
                if len(kept) > 1:
                    found.append((numpy.asarray(kept["step"], float), numpy.asarray(kept[player], float)))
        if not found:
            continue
        file = f"curves/{slug(run)}-{slug(player)}.svg"
        (folder / file).write_text(curve_svg(found), encoding="utf-8")
        ends = [float(numpy.mean([values[place] for _, values in found])) for place in (0, -1)]
        made.append(Curve(player, file, *ends, rounds=int(max(steps[-1] for steps, _ in found)), seeds=len(found)))
    return made


def strip(images: numpy.ndarray, path: Path) -> None:
    """Write the first images [n, channels, h, w] side by side."""
    pixels = (tile(images[:ACROSS], ACROSS) * 255).round().astype("uint8")
    Image.fromarray(pixels).save(path, optimize=True)


def galleries(suite: Suite, folder: Path, faults: Faults) -> dict[str, dict[str, list[Strip]]]:
    """Write strips/*.png; dataset -> `samples` and `reconstructions` -> strips, the first of them of test images."""
    (folder / "strips").mkdir(exist_ok=True)
    found: dict[str, dict[str, list[Strip]]] = {}
    for run in sorted(suite.wanted):
        strips = faults.attempt(f"pictures of {run}", partial(strips_of, suite, run, folder), {})
        dataset = suite.dataset_of(run)[0]
        truth = strips.pop("truth", [])
        for kind, made in strips.items():
            found.setdefault(dataset, {}).setdefault(kind, list(truth)).extend(made)
    return {
        dataset: {kind: strips for kind, strips in kinds.items() if len(strips) > 1} for dataset, kinds in found.items()
    }


def strips_of(suite: Suite, run: str, folder: Path) -> dict[str, list[Strip]]:
    """Write the strips of a run: `truth` (test images), `samples`, `reconstructions`; nothing where it has none."""
    try:
        arrays = artefact(suite, run, "sample_grid.npz")
    except NotRunError:
        return {}
    truth = Strip("", f"strips/{slug(suite.dataset_of(run)[0])}-test.png")
    strip(arrays["test"], folder / truth.file)
    found = {"truth": [truth]}
    for kind in ("samples", "reconstructions"):
        if kind in arrays:
            made = Strip(run, f"strips/{slug(run)}-{kind}.png")
            strip(arrays[kind], folder / made.file)
            found[kind] = [made]
    return found
