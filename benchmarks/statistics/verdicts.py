"""The verdict on one number: do our trainings give, within a margin, the number that the paper printed?

It follows from the 95 % interval of (ours - paper), in which both are noisy. docs/verdicts.md has the rule with a
picture and the error rates, which `python -m benchmarks.statistics.simulate` makes, and the tests check.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from scipy import optimize

from benchmarks.config.published import Published
from benchmarks.statistics.inference import LEVEL, quantile, satterthwaite, spread_of

VERDICTS = ("reproduced", "close", "not reproduced", "imprecise", "no verdict")
UNPRINTED = 0.25  # the error of a number that is printed without one, as a share of its margin
OURS = 0.6  # and as a share of our own spread over seeds, where that is more
UNLUCKY = 0.02  # how seldom one training of ours would be as far off as the paper's number, before we say it is wrong
FEW, CAUTIOUS = 5, 0.02  # of fewer seeds, which do not show skewness, the 98 % interval counts
MOST_SEEDS = 100
RULE = (
    "The margin of a number is stated with its reason beside the published value: half of the smallest difference "
    "from which the paper draws a conclusion, the paper's own error, or a convention of the metric. It is no "
    "share of the number and no multiple of our noise.",
    "The interval is that of (ours - paper), 95 %: our spread over seeds divided by their number (Student's t), "
    "the error of the test images, which all seeds share and which therefore is not divided, and the paper's "
    "error. A number printed without an error is taken to have one of a quarter of its margin, as who concludes from "
    "a difference of two margins vouches for, or of three fifths of our own spread where that is more. Of fewer than "
    "five seeds it is the 98 % interval.",
    "Reproduced: the interval lies within the margin.",
    "Close: it lies within twice the margin, not within the margin, and excludes 0.",
    "Not reproduced: it lies outside the margin; and where the paper's number is one training without an error, "
    "fewer than one in 50 trainings of ours would be as far off.",
    "Imprecise: anything else; the cell says about how many seeds or test images would tell.",
    "No verdict: one seed; data that stand in for the paper's; another network, unless the run says why it "
    "serves; failed seeds, since the survivors do not show the method; a bound or an interval in place of a "
    "number; a reduced budget at whose end the number still moves by more than the margin between 4/5 of the "
    "rounds and the last.",
)


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on: half of the interval of (ours - paper), and the margin."""

    verdict: str
    reason: str = ""
    half_width: float | None = None
    margin: float | None = None


def paper_error(published: Published, spread: float = 0.0) -> tuple[float, float]:
    """Standard error of the paper's number and its degrees of freedom, infinite where it is not estimated from runs.

    As printed, of the mean where it is a spread over runs; else assumed, see RULE, for our `spread` over seeds.
    """
    if published.error is None:
        return max(UNPRINTED * (published.margin or 0.0), OURS * spread), math.inf
    if published.error_of == "runs" and published.runs is not None:
        return published.error / math.sqrt(published.runs), published.runs - 1.0
    return published.error, math.inf


def half_width(
    spread: float,
    seeds: int,
    images_error: float = 0.0,
    other: tuple[float, float] = (0.0, math.inf),
    level: float = LEVEL,
) -> float:
    """Half of the interval of a mean over seeds with this spread, less a number that has `other` (error, degrees).

    Of one seed, that of its evaluation only.
    """
    if seeds < 2:
        return quantile(math.inf, level) * images_error
    parts = [(spread**2 / seeds, seeds - 1.0), (images_error**2, math.inf), (other[0] ** 2, other[1])]
    error, degrees = satterthwaite(parts)
    return quantile(degrees, level) * error


def level_of(seeds: int) -> float:
    """1 less the coverage of the interval that a verdict on so many seeds takes."""
    return LEVEL if seeds >= FEW else CAUTIOUS


def reach_of_one(spread: float, seeds: int, images_error: float) -> float:
    """How far from our mean one more training may lie, but for one in 50 (prediction interval)."""
    error, degrees = satterthwaite([(spread**2 * (1 + 1 / seeds), seeds - 1.0), (2 * images_error**2, math.inf)])
    return quantile(degrees, UNLUCKY) * error


def needed(
    room: float,
    spread: float,
    seeds: int,
    images: int | None,
    images_error: float,
    other: tuple[float, float],
    one_training: bool = False,
) -> str:
    """What would make half of the interval smaller than `room`: seeds, test images, or nothing.

    `one_training`: the reach of one more training has to be smaller, too.
    """
    for n in range(seeds + 1, MOST_SEEDS + 1):
        reach = reach_of_one(spread, n, images_error) if one_training else 0.0
        if max(half_width(spread, n, images_error, other, level_of(n)), reach) <= room:
            return f"about {n} seeds would tell"
    if one_training and reach_of_one(spread, MOST_SEEDS, images_error) > room:
        return "no number of seeds would tell: the paper's one training may have been an unlucky one"
    if quantile(other[1]) * other[0] >= room:
        return "no number of seeds or images would tell: the paper's own error is too large for the margin"
    for n in (seeds, MOST_SEEDS) if images and images_error > 0 else ():
        if half_width(spread, n, 0.0, other, level_of(n)) < room:
            error: Any = optimize.brentq(lambda e, n=n: half_width(spread, n, e, other, level_of(n)) - room, 0.0, room)
            wanted = math.ceil((images or 0) * (images_error / error) ** 2)
            beside = f" with {n} seeds" if n > seeds else ""
            return f"about {wanted:,} test images{beside} would tell, of which {images:,} were used"
    return f"more than {MOST_SEEDS} seeds would be needed to tell"


def judge(
    published: Published,
    values: Sequence[float],
    images_error: float = 0.0,
    *,
    images: int | None = None,
    failed: int = 0,
    step: float = 0.0,
) -> Judgement:
    """The verdict of RULE on the values of one cell, a value for each seed.

    `images_error`: standard error over the test images that all seeds share, of which there are `images`. `failed`: how
    many seeds gave no value. `step`: the least amount by which the metric moves.
    """
    margin = published.margin
    if margin is None:
        return Judgement("no verdict", published.why)
    seeds = len(values)
    if seeds < 2:
        return Judgement("no verdict", "one seed does not show how seeds differ", margin=margin)
    if not all(map(math.isfinite, values)):
        return Judgement("no verdict", "a seed has a value that is not finite", margin=margin)
    difference = abs(float(numpy.mean(values)) - published.value)
    spread = spread_of(values, step)
    if not spread:
        return Judgement("no verdict", "the seeds do not vary: they are no independent trainings", margin=margin)
    theirs = paper_error(published, spread)
    half = half_width(spread, seeds, images_error, theirs, level_of(seeds))
    unlucky = reach_of_one(spread, seeds, images_error) if published.error is None else 0.0
    if difference - max(half, unlucky) > margin and difference + half > 2 * margin:
        return Judgement("not reproduced", "", half, margin)
    if failed:
        return Judgement("no verdict", f"{failed} of {seeds + failed} seeds failed", half, margin)
    if difference + half <= margin:
        return Judgement("reproduced", "", half, margin)
    if difference > half and difference + half <= 2 * margin:
        return Judgement("close", "", half, margin)
    outside = difference > margin and published.error is None
    what = needed(abs(margin - difference), spread, seeds, images, images_error, theirs, outside)
    return Judgement("imprecise", f"± {half:.2g} against a margin of {margin:.2g}; {what}", half, margin)
