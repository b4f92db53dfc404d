"""`python -m benchmarks.statistics.simulate`: error rates and power of verdicts and claims, where the truth is known.

It rewrites the tables of docs/verdicts.md between their marks, and the picture docs/verdicts.svg. The tests simulate
the same with fewer cells.
"""

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product

import matplotlib
import numpy
from numpy.random import Generator
from scipy import special

from benchmarks.config.declarations import ROOT
from benchmarks.config.published import Published
from benchmarks.statistics.inference import LEVEL, Seeds, contrast, holm, power, spread_test, within
from benchmarks.statistics.verdicts import UNPRINTED, VERDICTS, judge

COLLAPSE = 5.0  # by how many standard deviations of the others a collapsed training is worse
NOISES = ("Gauss", "t3", "skewed", "collapse")
SEEDS = (3, 5, 10)
SPREADS = (0.1, 0.2, 1 / 3, 0.5)  # of seeds, in margins
START, END = "<!-- simulated -->", "<!-- end of simulated -->"


def noise(kind: str, size: int | tuple[int, ...], random: Generator) -> numpy.ndarray:
    """Deviations of trainings from their mean, with standard deviation 1; `collapse`: one training in ten collapses."""
    if kind == "Gauss":
        return random.standard_normal(size)
    if kind == "t3":
        return random.standard_t(3, size) / math.sqrt(3)
    if kind == "skewed":
        return random.exponential(1.0, size) - 1
    collapsed = COLLAPSE * ((random.random(size) < 0.1) - 0.1)
    return (random.standard_normal(size) - collapsed) / math.hypot(1, 0.3 * COLLAPSE)


def verdict_rates(
    cells: int,
    kind: str,
    seeds: int,
    spread: float,
    offset: float,
    error: float | None,
    random: Generator,
    images: float = 0.0,
    one_training: bool = False,
) -> Counter[str]:
    """Shares of verdicts on cells whose truth is `offset` margins from the paper's; the margin is 1.

    `error`: what the paper prints, which its number has; without one it deviates by as much as our seeds, but by no
    more than a quarter of the margin; with `one_training` it is one training like ours, whatever the rule assumes.
    `images`: error of the test images, which our seeds share.
    """
    counts: Counter[str] = Counter()
    for _ in range(cells):
        usual = min(spread, UNPRINTED) if error is None else error
        number = spread * noise(kind, 1, random)[0] if one_training else usual * random.standard_normal()
        values = offset + spread * noise(kind, seeds, random) + images * random.standard_normal()
        found = judge(Published(number, "", error, "images", margin=1.0, why="simulated"), list(values), images)
        counts[found.verdict] += 1
    return Counter({verdict: count / cells for verdict, count in counts.items()})


def claim_rate(values: Callable[[], list[tuple[Seeds, Seeds]]], tables: int, pair: bool = False) -> float:
    """Share of tables of null claims, given by `values`, in which any gets a verdict."""
    wrong = 0
    for _ in range(tables):
        found = [contrast(one, other, pair) for one, other in values()]
        p_values = [1.0 if isinstance(one, str) else min(within(one, 0.0, math.inf)) for one in found]
        wrong += min(holm(p_values)) < LEVEL
    return wrong / tables


def null_claims(kind: str, claims: int, seeds: int, correlation: float, random: Generator) -> list[tuple[Seeds, Seeds]]:
    """Pairs of runs without a difference, whose seeds share a part of their noise."""
    common = noise(kind, (claims, seeds), random)
    sides = [
        math.sqrt(correlation) * common + math.sqrt(1 - correlation) * noise(kind, (claims, seeds), random)
        for _ in range(2)
    ]
    return [(Seeds.of(one), Seeds.of(other)) for one, other in zip(*sides, strict=True)]


def null_accuracies(claims: int, seeds: int, random: Generator, images: int = 360) -> list[tuple[Seeds, Seeds]]:
    """The same of accuracies in per cent on a few images, which move in steps and often do not vary at all."""
    rights = images * 0.97 + 0.4 * random.standard_normal((2, claims, seeds))
    found = 100 * numpy.round(rights) / images
    return [(Seeds.of(a, 100 / images), Seeds.of(b, 100 / images)) for a, b in zip(*found, strict=True)]


def spread_rate(kind: str, seeds: int, tables: int, random: Generator) -> float:
    """Share of equal spreads that are told apart."""
    pairs = ((Seeds.of(noise(kind, seeds, random)), Seeds.of(noise(kind, seeds, random))) for _ in range(tables))
    return sum(min(spread_test(one, other)) < LEVEL for one, other in pairs) / tables


def per_cent(share: float) -> str:
    """For a table."""
    return f"{100 * share:.1f} %"


def verdict_table(cells: int, random: Generator) -> list[str]:
    """Error rates of verdicts as Markdown: the worst over spreads and over the two sides of the margin."""
    lines = [
        "| trainings vary as | seeds | the paper prints | false `reproduced` | false `not reproduced` "
        "| `close` at 3 margins | `not reproduced` at 3 margins | power |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, seeds, printed in product(NOISES, SEEDS, (False, True)):
        error = 0.2 if printed else None
        at = {
            offset: [verdict_rates(cells, kind, seeds, spread, offset, error, random) for spread in SPREADS]
            for offset in (-1.0, 0.0, 1.0, 3.0)
        }
        wrong = max(rates["reproduced"] for offset in (-1.0, 1.0) for rates in at[offset])
        missed = max(rates["not reproduced"] for offset in (-1.0, 0.0, 1.0) for rates in at[offset])
        third = SPREADS.index(1 / 3)
        found = [wrong, missed, max(r["close"] for r in at[3.0])]
        found += [at[3.0][third]["not reproduced"], at[0.0][third]["reproduced"]]
        words = "an error" if printed else "none"
        lines.append(f"| {kind} | {seeds} | {words} | " + " | ".join(map(per_cent, found)) + " |")
    return lines


def best_power(seeds: int, spread: float) -> float:
    """The most that any rule with 5 % false *reproduced* has, were the spread known: against one training like ours."""
    deviation = spread * math.sqrt(1 + 1 / seeds)
    accepted = 1 - special.ndtri(1 - LEVEL) * deviation
    return max(0.0, float(2 * special.ndtr(accepted / deviation) - 1))


def one_training_table(cells: int, random: Generator) -> list[str]:
    """The same rates where the paper's number is one training like ours and printed without an error."""
    lines = [
        "| trainings vary as | seeds | spread in margins | false `reproduced` | false `not reproduced` "
        "| `not reproduced` at 3 margins | power | best power of any rule |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, seeds, spread in product(NOISES, SEEDS, SPREADS[1:]):
        rates = {
            offset: verdict_rates(cells, kind, seeds, spread, offset, None, random, one_training=True)
            for offset in (-1.0, 0.0, 1.0, 3.0)
        }
        wrong = [max(rates[side][verdict] for side in (-1.0, 1.0)) for verdict in ("reproduced", "not reproduced")]
        found = [*wrong, rates[3.0]["not reproduced"], rates[0.0]["reproduced"]]
        best = per_cent(best_power(seeds, spread)) if kind == "Gauss" else ""
        lines.append(f"| {kind} | {seeds} | {spread:.2g} | " + " | ".join([*map(per_cent, found), best]) + " |")
    return lines


def claim_table(tables: int, random: Generator) -> list[str]:
    """Family-wise errors of claims as Markdown."""
    lines = ["| null effects | seeds | any verdict in a family of 6 |", "|---|---|---|"]
    for kind, seeds, correlation in product(NOISES, SEEDS, (0.0, 0.8)):
        rate = claim_rate(lambda k=kind, n=seeds, r=correlation: null_claims(k, 6, n, r, random), tables)
        lines.append(f"| {kind}, seeds correlated {correlation:g} | {seeds} | {per_cent(rate)} |")
    for seeds in (2, *SEEDS):
        rate = claim_rate(lambda n=seeds: null_accuracies(10, n, random), tables)
        lines.append(f"| ten accuracies on 360 images | {seeds} | {per_cent(rate)} |")
    for kind, seeds in product(NOISES, SEEDS):
        lines.append(
            f"| spreads, {kind} | {seeds} | {per_cent(spread_rate(kind, seeds, tables, random))} (one claim) |"
        )
    return lines


EXAMPLES = {  # verdict -> ours - paper and half of its interval, in margins
    "reproduced": (0.25, 0.45),
    "close": (1.35, 0.4),
    "not reproduced": (2.3, 0.6),
    "imprecise": (0.5, 1.1),
    "no verdict": (0.1, 0.0),
}


def draw(cells: int, random: Generator) -> None:
    """docs/verdicts.svg: an interval for each verdict; verdicts by the truth; power of claims by effect."""
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "verdicts"
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    left.axvspan(-2, 2, color="0.93")
    left.axvspan(-1, 1, color="0.84")
    for height, (centre, half) in enumerate(reversed(EXAMPLES.values())):
        if half:
            left.errorbar(centre, height, xerr=half, fmt="o", color="black", capsize=3)
        else:
            left.plot(centre, height, "o", color="black", fillstyle="none")
    left.set_yticks(range(len(EXAMPLES)), list(reversed(EXAMPLES)))
    left.set_xlabel("ours - paper, in margins, with the 95 % interval")
    offsets = numpy.linspace(0, 4, 17)
    styles = dict(zip(VERDICTS, ("-", "--", "-.", ":"), strict=False))
    for verdict, style in styles.items():
        rates = [verdict_rates(cells, "Gauss", 5, 1 / 3, offset, None, random)[verdict] for offset in offsets]
        middle.plot(offsets, rates, style, color="black", label=verdict)
    middle.set_xlabel("true difference in margins (5 seeds, spread 1/3)")
    middle.set_ylabel("share of cells")
    middle.legend(fontsize="small")
    effects = numpy.linspace(0.01, 5, 50)
    for seeds, style in zip(SEEDS, (":", "--", "-"), strict=True):
        for family, colour in ((1, "black"), (6, "0.6")):
            values = [power(effect, (1.0, 1.0), seeds, LEVEL / family) for effect in effects]
            right.plot(effects, values, style, color=colour, label=f"{seeds} seeds, family of {family}")
    right.set_xlabel("difference of two means in sd over seeds")
    right.set_ylabel("power of a claim")
    right.legend(fontsize="small")
    figure.savefig(ROOT / "docs" / "verdicts.svg", metadata={"Date": None})
    pyplot.close(figure)


def rewritten(text: str, lines: Sequence[str]) -> str:
    """The page with these lines between its marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n" + "\n".join(lines) + f"\n{END}" + rest.partition(END)[2]


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=4000, help="simulated cells and tables for each rate")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = numpy.random.default_rng(arguments.seed)
    lines = [
        *verdict_table(arguments.cells, random),
        "",
        "The same where the paper's number, printed without an error, is one training that varies as ours do:",
        "",
        *one_training_table(arguments.cells, random),
        "",
        *claim_table(arguments.cells, random),
    ]
    print("\n".join(lines))
    page = ROOT / "docs" / "verdicts.md"
    page.write_text(rewritten(page.read_text(encoding="utf-8"), lines), encoding="utf-8")
    draw(arguments.cells, random)


if __name__ == "__main__":
    main()
