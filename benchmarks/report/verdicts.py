"""The verdict on one number: is our mean over seeds the number that the paper printed?

Two tests of one difference, ours - paper. Equivalence: its 95 % interval lies within a margin (two one-sided tests,
Schuirmann 1987). Difference: it lies beyond margin and interval, and beyond what one more training would explain (a
prediction interval). tests/test_verdicts.py simulates both errors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy import special

SHARE = 0.02
SHARE_APPROXIMATE = 0.1
LEVEL = 0.05
TIMES_PRINTED, TIMES_ESTIMATED = 2.0, 1.5
RULE = (
    "Margin: twice the paper's own error. Where it prints none, its one training is taken to vary as ours do (spread "
    "over seeds and evaluation error, in squares), and the margin is 1.5 times that, less because few seeds tell it. "
    f"At least {SHARE:.0%} of the number ({SHARE_APPROXIMATE:.0%} where the paper marks it as approximate) and one "
    "unit of its last digit. Our interval: 95 %, of the mean over seeds, with the evaluation error of the test images "
    "that all seeds share (Welch-Satterthwaite). Reproduced: the whole interval of the difference lies within the "
    "margin. Close: otherwise, if the difference is at most twice the margin. Not reproduced: the difference exceeds "
    "that, exceeds the margin by more than half the interval, and one more training would fall there less than once "
    "in 20. No verdict: the seeds differ too much to say even that; one seed; a stand-in dataset; or a reduced "
    "budget, unless the run says why it suffices. With 3 to 10 seeds each of the two errors, `reproduced` for a mean "
    "outside the margin and `not reproduced` for a faithful copy, is at most 5 %."
)


@dataclass(frozen=True)
class Published:
    """A number as the paper prints it."""

    value: float
    error: float | None
    text: str
    measured: str
    note: str

    def least_margin(self) -> float:
        """What is regarded as the same number however small the errors are."""
        digits = len(self.text.split(".")[1]) if "." in self.text else 0
        share = SHARE_APPROXIMATE if "approximate" in self.note else SHARE
        return max(share * abs(self.value), 10.0**-digits)


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on: half-width of our 95 % interval, and the margin."""

    verdict: str
    reason: str = ""
    half_width: float | None = None
    margin: float | None = None


def t_quantile(degrees: float) -> float:
    """Two-sided quantile of Student's t at LEVEL."""
    return float(special.stdtrit(degrees, 1 - LEVEL / 2))


def mean_error(values: Sequence[float], evaluation_error: float) -> tuple[float, float]:
    """(standard error of the mean over seeds, its degrees of freedom); the evaluation error is common to all seeds."""
    seeds = float(numpy.var(values, ddof=1)) / len(values)
    total = seeds + evaluation_error**2
    degrees = (len(values) - 1) * (total / seeds) ** 2 if seeds > 0 else math.inf
    return math.sqrt(total), degrees


def half_width(values: Sequence[float], evaluation_error: float) -> float:
    """Half of the mean's 95 % interval; of one seed, that of its evaluation only."""
    if len(values) < 2:
        return t_quantile(math.inf) * evaluation_error
    error, degrees = mean_error(values, evaluation_error)
    return t_quantile(degrees) * error


def judge(published: Published, values: Sequence[float], evaluation_error: float) -> Judgement:
    """The verdict of RULE on the values of one cell, a value for each seed."""
    if len(values) < 2:
        return Judgement("no verdict", "one seed does not show how seeds differ")
    error, degrees = mean_error(values, evaluation_error)
    quantile = t_quantile(degrees)
    one_training = math.hypot(float(numpy.std(values, ddof=1)), evaluation_error)
    theirs = one_training if published.error is None else published.error
    times = TIMES_ESTIMATED if published.error is None else TIMES_PRINTED
    margin, half = max(times * theirs, published.least_margin()), quantile * error
    difference = abs(float(numpy.mean(values)) - published.value)
    if difference + half <= margin:
        return Judgement("reproduced", "", half, margin)
    if difference <= 2 * margin:
        return Judgement("close", "", half, margin)
    if difference > margin + half and difference > quantile * math.hypot(error, theirs):
        return Judgement("not reproduced", "", half, margin)
    reason = f"{len(values)} seeds differ too much to tell: the interval is ± {half:.2g}, the margin {margin:.2g}"
    return Judgement("no verdict", reason, half, margin)
