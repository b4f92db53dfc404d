"""A user's runs against every baseline of the same column: paired differences over seeds, corrected by Holm."""

import math
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pandas
from scipy import stats

from benchmarks import catalogue
from benchmarks.records import Contract, read
from benchmarks.report.claims import LEVEL, holm
from benchmarks.report.compare import number
from benchmarks.report.faults import Faults
from benchmarks.suite import Suite
from methods.files import DamagedError

RULE = (
    "Ours minus the baseline. Two-sided paired t tests over the seeds that both have, corrected by Holm for all "
    f"comparisons of the column (level {LEVEL}); the interval is the 95 % t interval, uncorrected. One seed decides "
    "nothing: the difference then stands with its evaluation error only, 1.96 standard errors over test examples, as "
    "if the two were independent (they share test examples, so it is rather too wide). No test where only a bound or "
    "an interval is known."
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

    @property
    def interval(self) -> str:
        """Difference and 95 % interval; the reason instead where there is none."""
        if self.difference is None:
            return ""
        ends = f" [{number(self.low)}, {number(self.high)}]" if self.low is not None else ""
        return number(self.difference) + ends


def results_of(frame: pandas.DataFrame, run: str, metric: str) -> pandas.DataFrame:
    """Seed -> value, low, standard_error, protocol, status, reason at the last round."""
    rows = frame.loc[(frame.run == run) & (frame.metric == metric) & frame.final]
    found = rows.set_index("seed").reindex(columns=["value", "low", "standard_error", "protocol", "status", "reason"])
    return found.astype({"value": float, "low": float, "standard_error": float})


def measure(found: Difference, ours: pandas.DataFrame, theirs: pandas.DataFrame) -> None:
    """Fill in difference, interval and p, or the reason why there are none."""
    for rows, who in ((ours, found.run), (theirs, found.baseline)):
        if not (rows.status == "ok").any():
            why = f"{rows.status.iloc[0]}: {rows.reason.iloc[0]}" if len(rows) else "not run"
            found.verdict, found.reason = "no test", f"{who} {why}"
            return
    ours, theirs = (rows.loc[rows.status == "ok"] for rows in (ours, theirs))
    if set(ours.protocol) != set(theirs.protocol):
        found.verdict, found.reason = "no test", f"protocols differ: {ours.protocol.iloc[0]}, {theirs.protocol.iloc[0]}"
        return
    for rows, who in ((ours, found.run), (theirs, found.baseline)):
        if rows.low.notna().any():
            found.verdict, found.reason = "no test", f"of {who} only a bound or an interval is known"
            return
    pairs = ours.merge(theirs, left_index=True, right_index=True, suffixes=("", "_baseline"))
    found.seeds = len(pairs)
    if not found.seeds:
        found.verdict, found.reason = "no test", "no seed in common"
        return
    differences = pairs.value - pairs.value_baseline
    found.difference = float(differences.mean())
    if found.seeds == 1:
        error = math.hypot(pairs.standard_error.iloc[0], pairs.standard_error_baseline.iloc[0])
        found.reason = "one seed decides nothing" + ("" if math.isfinite(error) else ", evaluation error unknown")
        half = 1.96 * error
    else:
        error = float(differences.std()) / math.sqrt(found.seeds)
        half = float(stats.t.ppf(0.975, found.seeds - 1)) * error
        found.p = (
            float(2 * stats.t.sf(abs(found.difference) / error, found.seeds - 1))
            if error
            else float(found.difference == 0)
        )
    if math.isfinite(half):
        found.low, found.high = found.difference - half, found.difference + half


def decide(column: list[Difference]) -> None:
    """Correct the p values of a column, and say which differences they leave."""
    tested = [found for found in column if found.p is not None]
    for found, p in zip(tested, holm([t.p for t in tested]), strict=True):  # type: ignore[misc]
        found.corrected = p
        if p >= LEVEL:
            continue
        better = str(catalogue.metrics()[found.metric].literals.get("better"))
        larger = (found.difference or 0) > 0
        words = {"higher": ("better", "worse"), "lower": ("worse", "better")}.get(better, ("larger", "smaller"))
        found.verdict = words[0] if larger else words[1]


def compared(frame: pandas.DataFrame, name: str, line: str, ours: Place, theirs: Place) -> Difference:
    """One place of the user's minus one of a baseline: (label, run, metric) each."""
    (label, run, metric), (baseline, other, other_metric) = ours, theirs
    found = Difference(name, line, label, baseline, metric)
    if metric == other_metric:
        measure(found, results_of(frame, run, metric), results_of(frame, other, metric))
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


def markdown(found: list[Difference]) -> str:
    """A Markdown table with the rule above it."""
    lines = ["#### Differences", "", RULE, "", "| column | run | baseline | difference | seeds | p (Holm) | verdict |"]
    lines.append("|---" * 7 + "|")
    for d in found:
        p = "" if d.corrected is None else f"{d.corrected:.2g}"
        verdict = d.verdict + (f" ({d.reason})" if d.reason else "")
        cells = (d.column, d.run, d.baseline, d.interval, str(d.seeds or ""), p, verdict)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def write(
    suite: Suite, frame: pandas.DataFrame, mine: set[str], folder: Path, faults: Faults
) -> dict[str, list[Difference]]:
    """Append the differences to <table>.md and write <table>-against.csv; table -> differences."""
    found = {}
    for name in (name for name, table in suite.tables.items() if table.copy_of):
        made = faults.attempt(f"differences in {name}", partial(differences, suite, frame, mine, name), [])
        with open(folder / f"{name}.md", "a", encoding="utf-8") as file:
            file.write("\n" + markdown(made))
        pandas.DataFrame([asdict(d) for d in made]).to_csv(folder / f"{name}-against.csv", index=False)
        found[name] = made
    return found


def contracts(suite: Suite) -> list[Contract]:
    """The records of the contract tests of a user's runs, as far as they are there; damaged ones say so."""
    found = []
    for run in sorted(suite.from_file):
        path = Path("results") / suite.name / run / "contract.json"
        try:
            found += [read(path, Contract)] if path.exists() else []
        except DamagedError as error:
            found.append(Contract(run=run, status="failed", reason=error.what))
    return found
