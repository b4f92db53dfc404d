"""Whether a claim can be decided: the probability of finding the paper's own difference with so many seeds."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pandas
from scipy import optimize

from benchmarks.config.models import Claim, Quantity
from benchmarks.config.published import Published
from benchmarks.plan.suite import Suite
from benchmarks.statistics import inference
from benchmarks.statistics.claims import bounds_of
from benchmarks.statistics.inference import LEVEL, Seeds
from benchmarks.statistics.quantities import seeds_of

WANTED, MOST = 0.8, 100
LEAST_SEEDS = 3  # of ours, for a spread
Spreads = tuple[float, float | None]
Printed = dict[tuple[str, str], Published]  # (run, metric) -> what the paper prints


@dataclass(frozen=True)
class Power:
    """Of one claim: the paper's effect, spreads over seeds of both sides, the test's level, the seeds of this profile.

    `power`: None where effect or spread is not known, which `reason` says. `wanted`: the fewest seeds for a power of
    0.8, None beyond 100. `detectable`: the difference in standard deviations that these seeds find with 0.8; None of
    one seed.
    """

    effect: float | None
    spreads: Spreads | None
    level: float
    seeds: int
    power: float | None = None
    wanted: int | None = None
    detectable: float | None = None
    reason: str = ""

    @property
    def line(self) -> str:
        """For a terminal and the page."""
        if self.power is None:
            found = f"finds {self.detectable:.1f} standard deviations with {WANTED:.0%}" if self.detectable else ""
            return "; ".join(filter(None, (found, self.reason)))
        seeds = f"{self.wanted} seeds for {WANTED:.0%}" if self.wanted else f"more than {MOST} seeds for {WANTED:.0%}"
        given = f"effect {self.effect:.3g}, level {self.level:.2g}"
        return f"power {self.power:.0%} with {self.seeds} seed{'s' if self.seeds > 1 else ''}, {seeds} ({given})"


def printed(suite: Suite) -> Printed:
    """What the papers print of each run and metric, in the first table that does."""
    found: Printed = {}
    for value, run, metric in suite.published_cells():
        found.setdefault((run, metric), value)
    return found


def value_of(quantity: Quantity, known: Printed) -> float | None:
    """The paper's number of a quantity; None where it prints none."""
    if quantity.detail is not None or quantity.statistic != "mean":
        return None
    values = [known.get((run, quantity.metric)) for run in quantity.runs()]
    if None in values:
        return None
    numbers = [value.value for value in values if value is not None]
    return numbers[0] - sum(numbers[1:])


def effect_of(claim: Claim, known: Printed) -> tuple[float | None, float]:
    """The paper's own difference; how far its number lies inside the claim's bounds, from the nearer and the other."""
    if claim.effect is not None:
        return claim.effect, math.inf
    values = [value_of(quantity, known) for quantity in claim.quantities()]
    if None in values:
        return None, math.inf
    found = (values[0] or 0.0) - sum(value or 0.0 for value in values[1:]) - claim.by
    if claim.between is None:
        return found, math.inf
    low, high = bounds_of(claim)
    nearer, other = sorted((found - low, high - found))
    return (nearer if 0 < nearer < math.inf else None), other


def spread_of(quantity: Quantity, claim: Claim, known: Printed, frame: pandas.DataFrame | None) -> float | None:
    """Spread over seeds of a quantity: as the claim says, as the paper prints it, or as our own seeds have it.

    None where none of these is known; of ours at least three are asked for.
    """
    if claim.sd is not None:
        return claim.sd * math.sqrt(len(quantity.runs()))
    value = known.get((quantity.run, quantity.metric))
    if value is not None and value.error_of == "runs" and quantity.minus is None:
        return value.error
    seeds = seeds_of(frame, quantity) if frame is not None else Seeds.of([])
    return (seeds.spread or None) if len(seeds) >= LEAST_SEEDS else None


def spreads_of(claim: Claim, known: Printed, frame: pandas.DataFrame | None) -> Spreads | None:
    """Spreads of both sides, None of the second for a single value or for pairs; None where they are not known."""
    found = [spread_of(quantity, claim, known, frame) for quantity in claim.quantities()]
    if None in found:
        return None
    first, second = found[0] or 0.0, found[1] if len(found) == 2 else None
    if claim.paired and second is not None:  # as if seeds shared nothing: rather too wide
        return math.hypot(first, second), None
    return first, second


@cache
def detectable(two_means: bool, seeds: int, level: float) -> float | None:
    """The difference in standard deviations over seeds that is found with WANTED; None of one seed.

    `two_means`: of two means, each with such a spread; else of one mean, or of pairs.
    """
    if seeds < 2:
        return None
    spreads: Spreads = (1.0, 1.0 if two_means else None)
    found: Any = optimize.brentq(lambda size: inference.power(size, spreads, seeds, level) - WANTED, 1e-6, 1e4)
    return float(found)


def of_claims(suite: Suite, frame: pandas.DataFrame | None = None) -> dict[str, Power]:
    """The power of every claim that can be tested, at the level of the first of its family.

    `frame`: the table of results, whose seeds say how values spread where neither claim nor paper does.
    """
    known = printed(suite)
    tested = {name: claim for name, claim in suite.claims.items() if not claim.untested}
    families = Counter((claim.paper, claim.family) for claim in tested.values())
    return {
        name: of_claim(suite, claim, known, families[claim.paper, claim.family], frame)
        for name, claim in tested.items()
    }


def of_claim(suite: Suite, claim: Claim, known: Printed, family: int, frame: pandas.DataFrame | None = None) -> Power:
    """The power of one claim in a family of so many."""
    runs = [run for quantity in claim.quantities() for run in quantity.runs()]
    seeds, level = min(suite.seeds(run) for run in runs), LEVEL / family
    (effect, other), spreads = effect_of(claim, known), spreads_of(claim, known, frame)
    two_means = len(claim.quantities()) == 2 and not claim.paired
    if claim.greater is not None and claim.greater.statistic != "mean":
        return Power(None, None, level, seeds, reason="spreads are compared, of which the paper prints none")
    found = Power(effect, spreads, level, seeds, detectable=detectable(two_means, seeds, level))
    if not effect:
        return replace(found, reason="the paper prints no such difference")
    if spreads is None:
        return replace(found, reason="no spread over seeds is known")
    wanted = inference.seeds_for(effect, spreads, level, WANTED, MOST, other)
    power = inference.power(effect, spreads, seeds, level, other) if seeds > 1 else 0.0
    return replace(found, power=power, wanted=wanted)
