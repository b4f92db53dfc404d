"""A user's runs against every baseline of the same column, by the test of claims."""

import math
from dataclasses import dataclass

import pandas

from benchmarks.config import declarations
from benchmarks.config.models import Quantity
from benchmarks.plan.suite import Suite
from benchmarks.statistics.inference import LEVEL, Seeds, contrast, holm, image_variance, quantile, within
from benchmarks.statistics.quantities import at_chance, number_in, rows_of, seeds_of

RULE = (
    "Ours minus the baseline, by the test of claims: Welch's, two-sided, over training seeds, corrected by Holm for "
    f"all comparisons of the column (level {LEVEL}); the interval is the 95 % interval, uncorrected, and pairs the "
    "test images that both share. One seed decides nothing: the difference then stands with the error of its "
    "evaluation only. No test where only a bound or an interval is known, where trainings failed, or where both are "
    "no better than the metric's controls."
)
Place = tuple[str, str, str]  # label, run, metric


@dataclass
class Difference:
    """One of a user's runs minus one baseline, in one column."""

    table: str
    column: str
    run: str
    baseline: str
    metric: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    p: float | None = None
    corrected: float | None = None
    verdict: str = "undecided"
    reason: str = ""


def no_test(rows: pandas.DataFrame, who: str) -> str:
    """Why the results of one side allow no test; empty where they do."""
    good = rows.loc[rows.status == "ok"]
    if good.empty:
        return f"{who} {rows.status.iloc[0]}: {rows.reason.iloc[0]}" if len(rows) else f"{who} not run"
    if good.low.notna().any():
        return f"of {who} only a bound or an interval is known"
    failed = int((rows.status == "failed").sum())
    return f"{failed} of {len(rows)} seeds of {who} failed" if failed else ""


def of_one_seed(ours: Seeds, theirs: Seeds, rows: tuple[pandas.DataFrame, pandas.DataFrame]) -> float:
    """Half of the 95 % interval that the evaluation alone gives, infinite if a side's error is unknown.

    Test images that both share are paired; what each draws for itself adds up.
    """
    variance = image_variance(ours, theirs)
    for side in rows:
        good = side.loc[side.status == "ok"].iloc[0]
        if not isinstance(good.errors, str):  # older than the separate errors
            return quantile(math.inf) * math.hypot(*(float(r.standard_error.dropna().mean()) for r in rows))
        variance += number_in(good.errors, "samples") ** 2 + number_in(good.errors, "draws") ** 2
        if pandas.isna(good.standard_error):
            return math.inf
    return quantile(math.inf) * math.sqrt(variance)


def measure(found: Difference, frame: pandas.DataFrame, run: str, other: str) -> None:
    """Fill in difference, interval and p, or the reason why there are none."""
    rows = rows_of(frame, run, found.metric), rows_of(frame, other, found.metric)
    why = next(filter(None, (no_test(*side) for side in zip(rows, (found.run, found.baseline), strict=True))), "")
    if why:
        found.verdict, found.reason = "no test", why
        return
    protocols = [sorted(set(side.loc[side.status == "ok"].protocol)) for side in rows]
    if protocols[0] != protocols[1]:
        found.verdict, found.reason = "no test", f"protocols differ: {protocols[0][0]}, {protocols[1][0]}"
        return
    quantities = [Quantity(run=name, metric=found.metric) for name in (run, other)]
    ours, theirs = (seeds_of(frame, quantity) for quantity in quantities)
    found.seeds = min(len(ours), len(theirs))
    found.difference = float(ours.values.mean() - theirs.values.mean())
    test = contrast(ours, theirs)
    if not isinstance(test, str):
        found.low, found.high = test.interval
        found.p = min(within(test, 0.0, math.inf))
    elif found.seeds > 1:
        found.reason = test
    else:
        found.reason = "one seed decides nothing"
        half = of_one_seed(ours, theirs, rows)
        if math.isfinite(half):
            found.low, found.high = found.difference - half, found.difference + half
        else:
            found.reason += ", evaluation error unknown"
    chance = [at_chance(frame, quantity) for quantity in quantities]
    if all(chance):
        found.verdict, found.reason, found.p = "no test", f"both at chance: {'; '.join(chance)}", None


def decide(column: list[Difference]) -> None:
    """Correct the p values of a column, and say which differences they leave."""
    tested = [found for found in column if found.p is not None]
    for found, p in zip(tested, holm([t.p for t in tested]), strict=True):  # type: ignore[misc]
        found.corrected = p
        if p >= LEVEL:
            continue
        better = str(declarations.metrics()[found.metric].literals.get("better"))
        larger = (found.difference or 0) > 0
        words = {"higher": ("better", "worse"), "lower": ("worse", "better")}.get(better, ("larger", "smaller"))
        found.verdict = words[0] if larger else words[1]


def compared(frame: pandas.DataFrame, name: str, line: str, ours: Place, theirs: Place) -> Difference:
    """One place of the user's minus one of a baseline: (label, run, metric) each."""
    (label, run, metric), (baseline, other, other_metric) = ours, theirs
    found = Difference(name, line, label, baseline, metric)
    if metric == other_metric:
        measure(found, frame, run, other)
    else:
        found.verdict, found.reason = "no test", f"{other_metric} there, {metric} here"
    return found


def differences(suite: Suite, frame: pandas.DataFrame, mine: set[str], name: str) -> list[Difference]:
    """Each of `mine` against each baseline of the same column of a table (of the same row, where columns are runs)."""
    table = suite.tables[name]
    by_column = any(column.run for column in table.columns)
    lines: dict[str, list[Place]] = {}
    for row, column, run, metric in suite.cells(table):
        line, place = (row.label, column.label) if by_column else (column.label, row.label)
        lines.setdefault(line, []).append((place, run, metric))
    found = []
    for line, places in lines.items():
        ours, theirs = ([p for p in places if (p[1] in mine) is own] for own in (True, False))
        column = [compared(frame, name, line, one, other) for one in ours for other in theirs]
        decide(column)
        found += column
    return found
