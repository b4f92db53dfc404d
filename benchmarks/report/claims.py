"""A paper's sentences as tests over paired seeds: supported, contradicted or undecided."""

import json
import math
from dataclasses import dataclass, field
from functools import partial

import numpy
import pandas
from scipy import stats

from benchmarks import catalogue
from benchmarks.config import Claim, Quantity
from benchmarks.report.faults import Faults
from benchmarks.suite import Suite

RULE = (
    "One-sided paired t tests over seeds, corrected by Holm for the number of claims of the paper in this profile "
    "(level 0.05). Supported or contradicted needs two seeds or more and a corrected p below the level; a spread "
    "over seeds is compared by an F test. Where only an interval is known that holds a number, its less favourable end "
    "counts. The size of an effect is its mean over its standard deviation over seeds (of "
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
    beside: list[str] = field(default_factory=list)


def seeds_of(frame: pandas.DataFrame, quantity: Quantity) -> pandas.DataFrame:
    """By seed: `value` (or detail), and the ends `low` and `high` between which the truth lies, infinite if unknown."""
    if quantity.minus is not None:
        one, other = (quantity.model_copy(update={"run": run, "minus": None}) for run in (quantity.run, quantity.minus))
        return difference(seeds_of(frame, one), seeds_of(frame, other))
    rows = frame.loc[(frame.run == quantity.run) & (frame.metric == quantity.metric) & frame.final]
    rows = rows.loc[rows.status == "ok"].set_index("seed")
    rows = rows.reindex(columns=list(dict.fromkeys([*rows.columns, "low", "high"])))  # older results have no bounds
    if quantity.detail is not None:
        values = rows.details.map(lambda text: float(json.loads(text)[quantity.detail])).astype(float)
        return pandas.DataFrame({"value": values, "low": values, "high": values})
    value, low, high = (rows[name].astype(float) for name in ("value", "low", "high"))
    high = high.where(high.notna(), value.where(low.isna(), math.inf))
    return pandas.DataFrame({"value": value, "low": low.where(low.notna(), value), "high": high})


def difference(one: pandas.DataFrame, other: pandas.DataFrame) -> pandas.DataFrame:
    """The first less the second, of the seeds that both have."""
    found = pandas.DataFrame(
        {"value": one.value - other.value, "low": one.low - other.high, "high": one.high - other.low}
    )
    return found.dropna(subset=["value"])


def above_zero(values: numpy.ndarray) -> float:
    """One-sided p value of a mean above 0 (t test); 1 where a value has no lower end."""
    if not numpy.isfinite(values).all():
        return 1.0
    error = values.std(ddof=1) / math.sqrt(len(values))
    return float(stats.t.sf(values.mean() / error, len(values) - 1)) if error else float(values.mean() <= 0)


def t_test(outcome: Outcome, found: pandas.DataFrame) -> None:
    """Fill in effect, 95 % interval and both one-sided p values of values > 0, each from the less favourable ends."""
    outcome.effect, outcome.seeds = float(found.value.mean()), len(found)
    if len(found) < 2:
        outcome.reason = "one seed" if len(found) else "no seeds"
        return
    half = float(stats.t.ppf(0.975, len(found) - 1) * found.value.std() / math.sqrt(len(found)))
    outcome.size = float(outcome.effect / found.value.std()) if half else None
    outcome.low, outcome.high = float(found.low.mean()) - half, float(found.high.mean()) + half
    outcome.p_for, outcome.p_against = above_zero(found.low.to_numpy()), above_zero(-found.high.to_numpy())


def inside_test(outcome: Outcome, found: pandas.DataFrame, low: float, high: float) -> None:
    """Are the values between the bounds? Tests the distance to the nearer bound, shows the values themselves."""

    def room(least: pandas.Series, most: pandas.Series) -> numpy.ndarray:
        return numpy.minimum((least - low).to_numpy(), (high - most).to_numpy())

    worst, best = room(found.low, found.high), room(found.high, found.low)
    t_test(outcome, pandas.DataFrame({"value": room(found.value, found.value), "low": worst, "high": best}))
    outcome.effect = float(found.value.mean())
    if outcome.low is not None:
        half = float(stats.t.ppf(0.975, len(found) - 1) * found.value.std() / math.sqrt(len(found)))
        outcome.low, outcome.high = float(found.low.mean()) - half, float(found.high.mean()) + half


def spread_test(outcome: Outcome, greater: pandas.Series, than: pandas.Series) -> None:
    """Is the spread over seeds of the first greater than that of the second?"""
    outcome.seeds = min(len(greater), len(than))
    if outcome.seeds < 3:
        outcome.reason = f"{outcome.seeds} seeds are too few to compare spreads; profile quick-seeds has five"
        return
    a, b = float(numpy.std(greater, ddof=1)), float(numpy.std(than, ddof=1))
    outcome.effect = a - b
    if not a or not b:
        outcome.reason = "a spread over seeds is zero: no F test"
        return
    outcome.size = a / b
    outcome.p_for = float(stats.f.sf((a / b) ** 2, len(greater) - 1, len(than) - 1))
    outcome.p_against = 1 - outcome.p_for


def measure(name: str, claim: Claim, frame: pandas.DataFrame) -> Outcome:
    """Effect and p values of one claim."""
    outcome = Outcome(name, claim)
    if claim.greater is not None and claim.than is not None:
        greater, than = seeds_of(frame, claim.greater), seeds_of(frame, claim.than)
        if claim.greater.statistic == "sd over seeds":
            if any((rows.high > rows.low).any() for rows in (greater, than)):
                outcome.reason = "the values are known within intervals only: their spreads are not"
            else:
                spread_test(outcome, greater.value, than.value)
            return outcome
        found = difference(greater, than)
    elif claim.value is not None:
        found = seeds_of(frame, claim.value)
    else:
        found = pandas.DataFrame()
    outcome.beside = beside(frame, claim)
    if len(found) == 0:
        outcome.reason = f"not run: {why_none(frame, claim)}"
    elif claim.between is not None:
        inside_test(outcome, found, *claim.between)
    else:
        t_test(outcome, found - claim.by)
    return outcome


def why_none(frame: pandas.DataFrame, claim: Claim) -> str:
    """Why a number that the claim needs is not there."""
    for quantity in filter(None, (claim.greater, claim.than, claim.value)):
        for run in quantity.runs():
            rows = frame.loc[(frame.run == run) & (frame.metric == quantity.metric) & frame.final]
            if len(rows) and not (rows.status == "ok").any() and "reason" in rows and rows.reason.iloc[0]:
                return f"{run}: {rows.reason.iloc[0]}"
    return "no seed has the numbers"


def beside(frame: pandas.DataFrame, claim: Claim) -> list[str]:
    """What to know of the numbers that the claim rests on: how far they can be off (AIS: BDMC's gap), or cannot be."""
    lines = []
    for quantity in filter(None, (claim.greater, claim.than, claim.value)):
        declared = catalogue.metrics().get(quantity.metric)
        metric = declared.literals.get("beside") if declared else None
        for run in quantity.runs() if metric else ():
            rows = frame.loc[(frame.run == run) & (frame.metric == metric) & frame.final & (frame.status == "ok")]
            if len(rows):
                lines.append(f"{metric} of {run}: {rows.value.mean():+.2f} ± {rows.standard_error.mean():.2f}")
        for run in quantity.runs() if "kind" in frame else ():
            rows = frame.loc[(frame.run == run) & (frame.metric == quantity.metric) & frame.final]
            lines += [f"{run}: {text}" for text in rows.loc[rows.kind == "impossible"].warning.unique()]
    return lines


def holm(p_values: list[float]) -> list[float]:
    """Holm's correction."""
    order = numpy.argsort(p_values)
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = running
    return corrected


def decide(suite: Suite, frame: pandas.DataFrame, faults: Faults | None = None) -> list[Outcome]:
    """Every claim of the suite with its verdict, corrected within each paper; one that raises is `failed`."""
    faults, outcomes = faults or Faults(), []
    for name, claim in suite.claims.items():
        part = f"claim {name}"
        outcome = faults.attempt(part, partial(measure, name, claim, frame), Outcome(name, claim, verdict="failed"))
        outcome.reason = faults.found.get(part, outcome.reason)
        outcomes.append(outcome)
    for paper in {o.claim.paper for o in outcomes}:
        tested = [o for o in outcomes if o.claim.paper == paper and o.p_for is not None and o.p_against is not None]
        smallest = [min(o.p_for, o.p_against) for o in tested]  # type: ignore[type-var]
        for outcome, p in zip(tested, holm(smallest), strict=True):  # type: ignore[arg-type]
            if p < LEVEL:
                outcome.verdict = "supported" if outcome.p_for < outcome.p_against else "contradicted"  # type: ignore[operator]
            else:
                outcome.reason = f"corrected p = {p:.2g}"
    return outcomes
