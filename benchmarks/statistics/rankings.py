"""Places with ties instead of bold: which cells of a column can be told apart.

Cells are compared where they show the same metric by the same protocol on the same share of the data, all pairs by the
test of benchmarks.statistics.inference, corrected by Holm for the number of pairs.
"""

from collections.abc import Sequence
from itertools import combinations

from benchmarks.statistics.inference import LEVEL, Seeds, contrast, holm, within

RULE = (
    "Places: from 1 + how many cells of the same metric and protocol are better, to how many are not worse, by "
    "the test of claims on all pairs, corrected by Holm for their number. No place with one seed, with failed "
    "seeds, for a bound, or at chance (no better than the metric's controls).",
)


def apart(groups: Sequence[Seeds]) -> list[list[bool]]:
    """[i][j]: whether the seeds tell groups i and j apart."""
    pairs = list(combinations(range(len(groups)), 2))
    found = [contrast(groups[i], groups[j]) for i, j in pairs]
    p_values = [1.0 if isinstance(one, str) else min(within(one, 0.0, float("inf"))) for one in found]
    told = [[False] * len(groups) for _ in groups]
    for (i, j), p in zip(pairs, holm(p_values), strict=True):
        told[i][j] = told[j][i] = p < LEVEL
    return told


def places(groups: Sequence[Seeds], higher: bool) -> list[str]:
    """The place of each group: `2`, or `2–4` where the seeds do not tell more."""
    told = apart(groups)
    means = [float(group.values.mean()) * (1 if higher else -1) for group in groups]
    found = []
    for mean, row in zip(means, told, strict=True):
        first = 1 + sum(distinct and other > mean for distinct, other in zip(row, means, strict=True))
        last = len(means) - sum(distinct and other < mean for distinct, other in zip(row, means, strict=True))
        found.append(str(first) if first == last else f"{first}–{last}")
    return found
