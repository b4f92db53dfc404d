"""The one test behind claims, places and differences: two-sided, over training seeds, unequal spreads (Welch).

A spread over seeds is at least one step of the metric (an accuracy on 360 images moves by 1/360): equal seeds do not
make a difference certain. Test images that both sides share are not a spread over seeds: they are paired by image, and
their error is added once.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy
import pandas
from scipy import special

LEVEL = 0.05
ROUNDING = 1e-7  # of a value: seeds that differ by no more are equal, as values are sums of float32 numbers
NODES, WEIGHTS = (numpy.polynomial.legendre.leggauss(32)[part] / 2 for part in (0, 1))  # of an integral over [0, 1]


def spread_of(values: Sequence[float] | numpy.ndarray, step: float = 0.0) -> float:
    """Standard deviation over seeds, at least one step; 0 where they differ by rounding only and there is no step."""
    array = numpy.asarray(values, dtype=float)
    found = float(numpy.std(array, ddof=1))
    return max(found if found > ROUNDING * float(numpy.abs(array).max()) else 0.0, step)


@dataclass(frozen=True)
class Seeds:
    """One quantity by training seed.

    `values`: seed -> value. `low`, `high`: ends between which the truth lies, infinite if unknown; the values
    themselves where these are exact. `step`: the least amount by which the metric moves. `trainings`: how many there
    are, of which `failed` gave no value, `diverged` of them because the loss did. `images`: mean over seeds of the
    value of each test image [n], where it was kept; `images_error`: standard error of the mean over test images.
    """

    values: pandas.Series
    low: pandas.Series
    high: pandas.Series
    step: float = 0.0
    trainings: int = 0
    failed: int = 0
    diverged: int = 0
    images: numpy.ndarray | None = field(default=None, compare=False)
    images_error: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float], step: float = 0.0) -> "Seeds":
        """Exact values of seeds 0, 1, ..."""
        found = pandas.Series(list(values), dtype=float)
        return cls(found, found, found, step, len(found))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds, at least one step."""
        return spread_of(self.values.to_numpy(), self.step)

    def mean(self, of: str = "values") -> float:
        """Mean over seeds of the values, or of their `low` or `high` ends."""
        return float(getattr(self, of).to_numpy().mean())


@dataclass(frozen=True)
class Contrast:
    """A mean, or a difference of means, with its standard error and degrees of freedom.

    `low` and `high`: the least and the greatest that it can be, whatever the bias of an estimate; else `value`.
    """

    value: float
    low: float
    high: float
    error: float
    degrees: float
    size: float | None = None  # the difference in standard deviations over seeds

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval."""
        return quantile(self.degrees) * self.error

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval, from the less favourable ends."""
        return self.low - self.half_width, self.high + self.half_width

    def above(self, bound: float) -> float:
        """One-sided p value of the truth being at most `bound`."""
        return upper_tail((self.low - bound) / self.error, self.degrees)

    def below(self, bound: float) -> float:
        """One-sided p value of the truth being at least `bound`."""
        return upper_tail((bound - self.high) / self.error, self.degrees)


def quantile(degrees: float, level: float = LEVEL) -> float:
    """Two-sided quantile of Student's t."""
    return float(special.stdtrit(degrees, 1 - level / 2))


def upper_tail(t: float, degrees: float) -> float:
    """P(T > t) of Student's t; 1 at minus infinity."""
    return 1.0 if t == -math.inf else float(special.stdtr(degrees, -t))


def satterthwaite(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(standard error, degrees of freedom) of a sum of independent parts (variance, degrees), infinite if known."""
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / degrees for variance, degrees in parts)
    return math.sqrt(total), total**2 / below if below else math.inf


def image_difference(one: Seeds, other: Seeds) -> numpy.ndarray | None:
    """Difference of each test image's values, where both sides kept them of the same images."""
    if one.images is None or other.images is None or len(one.images) != len(other.images):
        return None
    return one.images - other.images


def image_variance(one: Seeds, other: Seeds | None = None) -> float:
    """Variance that the choice of test images gives to a mean or to a difference of means, which is paired by image.

    Where the values of each image were not kept, the two sides are taken as independent: rather too much.
    """
    if other is None:
        return one.images_error**2
    values = image_difference(one, other)
    if values is None:
        return one.images_error**2 + other.images_error**2
    return float(numpy.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0


def paired(one: Seeds, other: Seeds) -> Seeds:
    """The differences of the seeds that both have."""
    both = one.values.index.intersection(other.values.index)
    return Seeds(
        (one.values - other.values).loc[both],
        (one.low - other.high).loc[both],
        (one.high - other.low).loc[both],
        max(one.step, other.step),
        min(one.trainings, other.trainings),
        max(one.failed, other.failed),
        max(one.diverged, other.diverged),
        image_difference(one, other),
        math.sqrt(image_variance(one, other)),
    )


def contrast(one: Seeds, other: Seeds | None = None, pair: bool = False) -> Contrast | str:
    """Mean of `one`, or of `one` less that of `other`; the reason instead where seeds do not say how they vary.

    `pair`: the seed draws something that both share; else seeds of the two are independent (Welch).
    """
    if other is not None and pair:
        one, other = paired(one, other), None
    groups = [one] if other is None else [one, other]
    least = min(len(group) for group in groups)
    if least < 2:
        return ("no seeds", "one seed")[least]
    parts = [(group.spread**2 / len(group), len(group) - 1.0) for group in groups]
    if not sum(variance for variance, _ in parts):
        return "the seeds do not vary, though the metric has no least step: they are no independent trainings"
    parts.append((image_variance(one, other), math.inf))
    error, degrees = satterthwaite(parts)
    value, low, high = one.mean(), one.mean("low"), one.mean("high")
    if other is not None:
        value, low, high = value - other.mean(), low - other.mean("high"), high - other.mean("low")
    spread = math.sqrt(sum(group.spread**2 for group in groups) / len(groups))
    return Contrast(value, low, high, error, degrees, value / spread if spread else None)


def shifted(found: Contrast, by: float) -> Contrast:
    """The same less a constant; its size is that of what is left."""
    size = None if not found.size or not found.value else found.size * (found.value - by) / found.value
    return replace(found, value=found.value - by, low=found.low - by, high=found.high - by, size=size)


def within(found: Contrast, low: float, high: float) -> tuple[float, float]:
    """Two-sided p values of `inside` and `outside` of an interval whose ends may be infinite."""
    inside = max(found.above(low), found.below(high))
    outside = min(found.below(low), found.above(high))
    return min(1.0, 2 * inside), min(1.0, 2 * outside)


def spread_test(one: Seeds, other: Seeds) -> tuple[float, float]:
    """(p that the first is not the less stable, p that the second is not): two-sided.

    Spreads as Brown & Forsythe (1974): absolute deviations from the median, which heavy tails do not mislead, by the
    test of means. Trainings that diverged by Fisher's exact test of their numbers. Where any diverged, the smaller of
    both p values counts twice.
    """
    from scipy import stats  # which takes a second, and `plan` does without

    found: list[tuple[float, bool]] = []  # (p, whether the first is the less stable)
    if min(len(one), len(other)) >= 3:
        deviations = [Seeds.of((group.values - group.values.median()).abs(), group.step) for group in (one, other)]
        test = contrast(deviations[0], deviations[1])
        if not isinstance(test, str):
            found.append((min(within(test, 0.0, math.inf)), test.value > 0))
    if one.diverged or other.diverged:
        counts = [(group.diverged, group.trainings - group.diverged) for group in (one, other)]
        rates = [group.diverged / group.trainings for group in (one, other)]
        exact: Any = stats.fisher_exact(counts)
        # the spread of survivors does not make those the more stable that diverge more often
        found = [(p, first) for p, first in found if rates[0] == rates[1] or first == (rates[0] > rates[1])]
        found.append((float(exact.pvalue), rates[0] > rates[1]))
    if not found:
        return 1.0, 1.0
    p, first = min(found)
    p = min(1.0, (2 if one.diverged or other.diverged else 1) * p)
    return (p, 1.0) if first else (1.0, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction."""
    order = numpy.argsort(p_values)
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = running
    return corrected


def power(
    effect: float,
    spreads: tuple[float, float | None],
    seeds: int,
    level: float = LEVEL,
    other: float = math.inf,
) -> float:
    """Probability that the two-sided test finds an effect at this level, with so many seeds each.

    `spreads`: standard deviations over seeds of both sides; None for the second of a single mean or of pairs. Of a
    value inside an interval, `effect` is its distance from one end and `other` that from the other end. Exact for
    Welch's test: an integral over what the spreads of the samples may be (Gauss-Legendre in their quantiles), as the
    degrees of freedom hang on them.
    """
    variances = [spread**2 / seeds for spread in spreads if spread is not None]
    estimates = special.chdtri(seeds - 1, 0.5 - NODES) / (seeds - 1)  # a sample's variance over the true one
    parts = numpy.meshgrid(*(variance * estimates for variance in variances), indexing="ij")
    weight = numpy.prod(numpy.meshgrid(*([WEIGHTS] * len(parts)), indexing="ij"), axis=0)
    squared = sum(parts)
    degrees = squared**2 / sum(part**2 / (seeds - 1) for part in parts)
    critical, error = special.stdtrit(degrees, 1 - level / 2) * numpy.sqrt(squared), math.sqrt(sum(variances))
    found = special.ndtr((abs(effect) - critical) / error) + special.ndtr((-abs(effect) - critical) / error)
    if other < math.inf:  # above the one end and below the other
        found = special.ndtr((effect - critical) / error) + special.ndtr((other - critical) / error) - 1
    return float((weight * found.clip(0.0)).sum())


def seeds_for(
    effect: float,
    spreads: tuple[float, float | None],
    level: float,
    wanted: float,
    most: int,
    other: float = math.inf,
) -> int | None:
    """The fewest seeds, from 2 to `most`, whose power is `wanted`; None if there are none."""
    found = bisect_left(range(2, most + 1), wanted, key=lambda n: power(effect, spreads, n, level, other))
    return found + 2 if found + 2 <= most else None
