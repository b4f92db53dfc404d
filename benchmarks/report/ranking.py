"""Places with ties instead of bold: which cells of a table can be told apart.

Cells are compared where they show the same metric by the same protocol on the same share of the data. All pairs are
tested over seeds by Welch's t test, corrected by Holm for the number of pairs.
"""

from collections.abc import Iterable
from itertools import combinations

import numpy
from scipy import stats

from benchmarks import catalogue
from benchmarks.report.claims import holm
from benchmarks.report.verdicts import LEVEL

RULE = (
    "Places: from 1 + how many cells of the same metric and protocol are better, to how many are not worse, by "
    "Welch's t test of all pairs over seeds, corrected by Holm for their number (level 0.05). No place with one seed."
)


def standard_deviation(values: list[float]) -> float:
    """Over seeds."""
    return float(numpy.std(values, ddof=1))


def places(values: list[list[float]], higher: bool) -> list[str]:
    """The place of each group of values: `2`, or `2–4` where the seeds do not tell more."""
    means, spreads, sizes = (numpy.array([f(v) for v in values]) for f in (numpy.mean, standard_deviation, len))
    one, other = numpy.array(list(combinations(range(len(values)), 2))).T
    with numpy.errstate(divide="ignore", invalid="ignore"):
        p_values = stats.ttest_ind_from_stats(
            *(means[one], spreads[one], sizes[one]), *(means[other], spreads[other], sizes[other]), equal_var=False
        ).pvalue
    corrected = holm(list(numpy.nan_to_num(p_values, nan=0.0)))  # not a number: neither of the two varies
    apart = numpy.zeros((len(values), len(values)), dtype=bool)
    apart[one, other] = apart[other, one] = numpy.array(corrected) < LEVEL
    means = means if higher else -means
    found = []
    for mean, row in zip(means, apart, strict=True):
        first = 1 + int((row & (means > mean)).sum())
        last = len(means) - int((row & (means < mean)).sum())
        found.append(str(first) if first == last else f"{first}–{last}")
    return found


def rank(cells: Iterable, share_of) -> None:
    """Fill in `tie` of the cells that can be compared; `share_of` gives the share of the data a run is trained on."""
    groups: dict[tuple, list] = {}
    for cell in cells:
        if len(cell.values) > 1 and cell.low is None:  # a bound has no place
            groups.setdefault((cell.metric, cell.protocol, share_of(cell.run)), []).append(cell)
    for (metric, *_), group in groups.items():
        better = catalogue.metrics()[metric].literals.get("better", "neither")
        if better == "neither" or len({cell.run for cell in group}) < 2:
            continue
        values = [list(cell.values.values()) for cell in group]
        for cell, place in zip(group, places(values, better == "higher"), strict=True):
            cell.tie = f"{place} of {len(group)}"
