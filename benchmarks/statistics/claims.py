"""A paper's sentences as tests over training seeds: supported, contradicted, undecided or untested."""

import math
from dataclasses import dataclass, field

import pandas

from benchmarks.config import declarations
from benchmarks.config.models import Claim, Quantity
from benchmarks.plan.suite import Suite
from benchmarks.statistics.inference import LEVEL, Seeds, contrast, holm, shifted, spread_test, within
from benchmarks.statistics.quantities import at_chance, limits_of, rows_of, seeds_of, unlike_data
from benchmarks.statistics.setting import setting_of

RULE = (
    "Welch's t test over training seeds, two-sided: supported or contradicted are together wrong in at most 5 % "
    "where there is no effect. Seeds are paired only where the seed draws something that both runs share, the "
    "images of a fraction, which the claim says beforehand. Differences on the same test images are paired by "
    "image.",
    "Holm's correction within a family: the claims on one table, or one section, of a paper.",
    "A spread over seeds is at least one step of the metric (an accuracy on 360 images moves by 1/360). Spreads "
    "are compared by the same test on absolute deviations from the median (as Brown and Forsythe's); trainings that "
    "diverged, by Fisher's exact test of their numbers.",
    "A bound at a natural limit of the quantity (a KL divergence is not below 0) is no bound. Where only an "
    "interval is known that holds a number, its less favourable end counts.",
    "Undecided: the corrected p is 5 % or more; one seed; trainings failed, whose survivors do not show the "
    "method; or all compared values are at chance: not better than the metric's controls (noise, the mean image, "
    "another image). Sharpness says nothing of samples that are no more like data than noise (FID by a classifier).",
    "Claims on data that stand in for the paper's, or with smaller networks or fewer steps, say so, and are "
    "counted apart.",
    "Power: the probability that the test finds the paper's own difference, at the spread given with the claim, "
    "at the level of the first claim of its family.",
)


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
    p_for: float | None = None  # two-sided, as p_against
    p_against: float | None = None
    corrected: float | None = None
    verdict: str = "undecided"
    reason: str = ""
    beside: list[str] = field(default_factory=list)
    where: str = ""  # on what it was decided, where that is not the paper's data, networks and steps
    setting: list[str] = field(default_factory=list)  # that in detail


def bounds_of(claim: Claim) -> tuple[float, float]:
    """The interval in which the claim says that its quantity lies; infinite at a natural limit."""
    if claim.between is None:
        return 0.0, math.inf
    if claim.limits is not None:
        least = -math.inf if claim.limits[0] is None else claim.limits[0]
        most = math.inf if claim.limits[1] is None else claim.limits[1]
    elif claim.value is not None and claim.value.minus is None:
        least, most = limits_of(claim.value.metric)
    else:
        least, most = -math.inf, math.inf
    low, high = claim.between
    return (-math.inf if low <= least else low), (math.inf if high >= most else high)


def why_none(frame: pandas.DataFrame, claim: Claim) -> str:
    """Why a number that the claim needs is not there."""
    for quantity in claim.quantities():
        for run in quantity.runs():
            rows = rows_of(frame, run, quantity.metric)
            if len(rows) and not (rows.status == "ok").any() and rows.reason.iloc[0]:
                return f"{run}: {rows.reason.iloc[0]}"
    return "no seed has the numbers"


def beside(frame: pandas.DataFrame, claim: Claim) -> list[str]:
    """What to know of the numbers that the claim rests on: how far they can be off (AIS: BDMC's gap), or cannot be."""
    lines = [claim.note] if claim.note else []
    for quantity in claim.quantities():
        declared = declarations.metrics().get(quantity.metric)
        metric = declared.literals.get("beside") if declared else None
        for run in quantity.runs() if metric else ():
            rows = rows_of(frame, run, str(metric))
            rows = rows.loc[rows.status == "ok"]
            if len(rows):
                lines.append(f"{metric} of {run}: {rows.value.mean():+.2f} ± {rows.standard_error.mean():.2f}")
        for run in quantity.runs() if "kind" in frame else ():
            rows = rows_of(frame, run, quantity.metric)
            lines += [f"{run}: {text}" for text in rows.loc[rows.kind == "impossible"].warning.unique()]
    return lines


def compare_spreads(outcome: Outcome, frame: pandas.DataFrame, greater: Quantity, than: Quantity) -> None:
    """Is the first the less stable: more spread over seeds, or more trainings that diverge?"""
    one, other = seeds_of(frame, greater), seeds_of(frame, than)
    outcome.seeds = min(one.trainings, other.trainings)
    if any((group.high > group.low).any() for group in (one, other)):
        outcome.reason = "the values are known within intervals only: their spreads are not"
        return
    if any(group.failed > group.diverged for group in (one, other)):
        outcome.reason = "trainings failed for other reasons than divergence"
        return
    diverged = one.diverged or other.diverged
    if outcome.seeds < 3 or (min(len(one), len(other)) < 3 and not diverged):
        outcome.reason = f"{outcome.seeds} seeds are too few to compare spreads; profile quick-seeds has five"
        return
    if min(len(one), len(other)) >= 2:
        outcome.effect = one.spread - other.spread
        outcome.size = one.spread / other.spread if other.spread else None
    outcome.reason = chance_of(frame, outcome.claim)
    if outcome.reason:
        return
    if diverged:
        outcome.beside.append(
            f"diverged: {one.diverged} of {one.trainings} of {greater.run}, "
            f"{other.diverged} of {other.trainings} of {than.run}"
        )
    outcome.p_for, outcome.p_against = spread_test(one, other)


def chance_of(frame: pandas.DataFrame, claim: Claim) -> str:
    """Why the claim's numbers say nothing: all are at chance, or samples are no more like data than noise."""
    at = [at_chance(frame, quantity) for quantity in claim.quantities()]
    unlike = list(filter(None, (unlike_data(frame, quantity) for quantity in claim.quantities())))
    found = unlike or (at if all(at) else [])
    return f"at chance: {'; '.join(found)}" if found else ""


def failures(group: Seeds) -> str:
    """How many of its trainings gave no value."""
    number, word = (group.diverged, "diverged") if group.diverged == group.failed else (group.failed, "failed")
    return f"{number} of {group.trainings} trainings {word}"


def compare_means(outcome: Outcome, frame: pandas.DataFrame) -> None:
    """Fill in effect, interval and both p values of a claim on means."""
    claim = outcome.claim
    groups = [seeds_of(frame, quantity) for quantity in claim.quantities()]
    failed = [f"{q.run}: {failures(g)}" for q, g in zip(claim.quantities(), groups, strict=True) if g.failed]
    other = groups[1] if len(groups) == 2 else None
    outcome.seeds = min(len(group) for group in groups)
    if not outcome.seeds:
        outcome.reason = "; ".join(failed) or f"not run: {why_none(frame, claim)}"
        return
    found = contrast(groups[0], other, claim.paired)
    if isinstance(found, str):
        outcome.effect = float(groups[0].values.mean()) - (0.0 if other is None else float(other.values.mean()))
        outcome.effect -= claim.by
        outcome.reason = "; ".join(failed) or found
        return
    found = shifted(found, claim.by)
    outcome.effect, outcome.size, (outcome.low, outcome.high) = found.value, found.size, found.interval
    bounds = bounds_of(claim)
    outcome.reason = "; ".join(failed) or chance_of(frame, claim)
    if not outcome.reason and not any(map(math.isfinite, bounds)):
        outcome.reason = "both bounds are natural limits of the quantity: there is nothing to test"
    if not outcome.reason:
        outcome.p_for, outcome.p_against = within(found, *bounds)


def measure(name: str, claim: Claim, frame: pandas.DataFrame) -> Outcome:
    """Effect and p values of one claim."""
    outcome = Outcome(name, claim)
    if claim.untested:
        outcome.verdict, outcome.reason = "untested", claim.untested
        return outcome
    outcome.beside = beside(frame, claim)
    if claim.greater is not None and claim.than is not None and claim.greater.statistic == "sd over seeds":
        compare_spreads(outcome, frame, claim.greater, claim.than)
    else:
        compare_means(outcome, frame)
    return outcome


def settle(suite: Suite, outcome: Outcome) -> None:
    """Fill in how the claim's runs differ from the paper's."""
    runs = dict.fromkeys(run for quantity in outcome.claim.quantities() for run in quantity.runs())
    found = [setting_of(suite, run) for run in runs]
    shares = [f"{share:.2g}" for share in sorted(100 * s.share for s in found if s.reduced)]
    stand_ins = dict.fromkeys(setting.stand_in for setting in found)
    networks = dict.fromkeys(setting.network for setting in found)
    length = f"{' to '.join(dict.fromkeys((shares[0], shares[-1])))} % of the paper's training images" if shares else ""
    outcome.setting = [line for line in (*stand_ins, *networks, length) if line]
    if any(setting.stand_in for setting in found):
        outcome.where = "on stand-ins"
    elif any(not setting.paper for setting in found):
        outcome.where = "on a reduced budget"


def correct(outcomes: list[Outcome]) -> None:
    """Holm's correction within each family, and the verdicts that it leaves."""
    for family in {(o.claim.paper, o.claim.family) for o in outcomes}:
        tested = [o for o in outcomes if (o.claim.paper, o.claim.family) == family and o.p_for is not None]
        smallest = [min(o.p_for, o.p_against) for o in tested]  # type: ignore[type-var]
        for outcome, p in zip(tested, holm(smallest), strict=True):  # type: ignore[arg-type]
            outcome.corrected = p
            if p < LEVEL:
                outcome.verdict = "supported" if outcome.p_for < outcome.p_against else "contradicted"  # type: ignore[operator]
            else:
                outcome.reason = f"corrected p = {p:.2g}"


def decide(suite: Suite, outcomes: list[Outcome]) -> list[Outcome]:
    """The measured outcomes with their verdicts and settings."""
    for outcome in outcomes:
        settle(suite, outcome)
    correct(outcomes)
    return outcomes
