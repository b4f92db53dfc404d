"""A paper's sentences as tests over paired seeds: supported, contradicted or undecided."""

import json
import math
from dataclasses import dataclass

import numpy
import pandas
from scipy import stats

from benchmarks.config import Claim, Quantity
from benchmarks.suite import Suite

RULE = (
    "One-sided paired t tests over seeds, corrected by Holm for the number of claims of the paper in this profile "
    "(level 0.05). Supported or contradicted needs two seeds or more and a corrected p below the level; a spread "
    "over seeds is compared by an F test. The size of an effect is its mean over its standard deviation over seeds (of "
    "two spreads, their ratio). With one seed a claim stays undecided, and the difference is shown."
)
LEVEL = 0.05


@dataclass
class Outcome:
    """What the seeds say of a claim."""

    name: str
    claim: Claim
    effect: float | None = None
    size: float | None = None  # in standard deviations over seeds; of two spreads, their ratio
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    p_for: float | None = None
    p_against: float | None = None
    verdict: str = "undecided"
    reason: str = ""


def seeds_of(frame: pandas.DataFrame, quantity: Quantity) -> pandas.Series:
    """Value (or detail) by seed, where there is one."""
    if quantity.minus is not None:
        one, other = (quantity.model_copy(update={"run": run, "minus": None}) for run in (quantity.run, quantity.minus))
        return (seeds_of(frame, one) - seeds_of(frame, other)).dropna()
    rows = frame.loc[(frame.run == quantity.run) & (frame.metric == quantity.metric) & frame.final]
    rows = rows.loc[rows.status == "ok"].set_index("seed")
    if quantity.detail is None:
        return rows.value.astype(float)
    return rows.details.map(lambda text: float(json.loads(text)[quantity.detail]))


def t_test(outcome: Outcome, differences: numpy.ndarray) -> None:
    """Fill in effect, 95 % interval and both one-sided p values of `differences` > 0."""
    outcome.effect, outcome.seeds = float(differences.mean()), len(differences)
    if len(differences) < 2:
        outcome.reason = "one seed" if len(differences) else "no seeds"
        return
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    if error == 0:
        outcome.p_for, outcome.p_against = float(outcome.effect <= 0), float(outcome.effect >= 0)
        outcome.low = outcome.high = outcome.effect
        return
    half = stats.t.ppf(0.975, len(differences) - 1) * error
    outcome.size = float(outcome.effect / differences.std(ddof=1))
    outcome.low, outcome.high = outcome.effect - half, outcome.effect + half
    outcome.p_for = float(stats.t.sf(outcome.effect / error, len(differences) - 1))
    outcome.p_against = 1 - outcome.p_for


def inside_test(outcome: Outcome, values: numpy.ndarray, low: float, high: float) -> None:
    """Are the values between the bounds? Tests the distance to the nearer bound, shows the values themselves."""
    t_test(outcome, numpy.minimum(values - low, high - values))
    outcome.effect = float(values.mean())
    if outcome.low is not None:
        half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
        outcome.low, outcome.high = outcome.effect - half, outcome.effect + half


def spread_test(outcome: Outcome, greater: pandas.Series, than: pandas.Series) -> None:
    """Is the spread over seeds of the first greater than that of the second?"""
    outcome.seeds = min(len(greater), len(than))
    if outcome.seeds < 3:
        outcome.reason = f"{outcome.seeds} seeds are too few to compare spreads; profile quick-seeds has five"
        return
    a, b = float(numpy.std(greater, ddof=1)), float(numpy.std(than, ddof=1))
    outcome.effect = a - b
    outcome.size = a / b if b else None
    outcome.p_for = float(stats.f.sf((a / b) ** 2, len(greater) - 1, len(than) - 1))
    outcome.p_against = 1 - outcome.p_for


def measure(name: str, claim: Claim, frame: pandas.DataFrame) -> Outcome:
    """Effect and p values of one claim."""
    outcome = Outcome(name, claim)
    if claim.greater is not None and claim.than is not None:
        greater, than = seeds_of(frame, claim.greater), seeds_of(frame, claim.than)
        if claim.greater.statistic == "sd over seeds":
            spread_test(outcome, greater, than)
            return outcome
        paired = pandas.concat([greater, than], axis=1, join="inner").to_numpy()
        values = paired[:, 0] - paired[:, 1]
    elif claim.value is not None:
        values = seeds_of(frame, claim.value).to_numpy()
    else:
        values = numpy.empty(0)
    if len(values) == 0:
        outcome.reason = "not run: no seed has the numbers"
    elif claim.between is not None:
        inside_test(outcome, values, *claim.between)
    else:
        t_test(outcome, values - claim.by)
    return outcome


def holm(p_values: list[float]) -> list[float]:
    """Holm's correction."""
    order = numpy.argsort(p_values)
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = running
    return corrected


def decide(suite: Suite, frame: pandas.DataFrame) -> list[Outcome]:
    """Every claim of the suite with its verdict, corrected within each paper."""
    outcomes = [measure(name, claim, frame) for name, claim in suite.claims.items()]
    for paper in {o.claim.paper for o in outcomes}:
        tested = [o for o in outcomes if o.claim.paper == paper and o.p_for is not None and o.p_against is not None]
        smallest = [min(o.p_for, o.p_against) for o in tested]  # type: ignore[type-var]
        for outcome, p in zip(tested, holm(smallest), strict=True):  # type: ignore[arg-type]
            if p < LEVEL:
                outcome.verdict = "supported" if outcome.p_for < outcome.p_against else "contradicted"  # type: ignore[operator]
            else:
                outcome.reason = f"corrected p = {p:.2g}"
    return outcomes
