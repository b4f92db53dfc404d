"""A user's runs in tables: one of their own, and copies of the suite's tables."""

from typing import Any

from benchmarks.config import declarations
from benchmarks.config.models import Cell, Table, listed
from benchmarks.config.user_runs import stem_of
from benchmarks.errors import SuiteError, unknown


def table_of(suite: Any, alone: bool) -> Table:
    """A user's runs by every metric that applies, above all other wanted runs on the same datasets unless alone."""
    used = {suite.dataset_of(run)[0] for run in suite.own}
    others = [] if alone else sorted(r for r in suite.wanted if r not in suite.own and suite.dataset_of(r)[0] in used)
    labels = sorted(set().union(*(suite.wanted[run] for run in suite.own)))

    def row(run: str) -> Cell:  # a metric that nothing else asks of a run, its job would not compute
        return Cell(label=run, run=run, skip=[metric for metric in labels if metric not in suite.wanted[run]])

    return Table(
        paper="Your own",
        number="runs",
        title="by every metric that applies, beside the suite's on the same data",
        rows_are="runs",  # of any data
        rows=[row(run) for run in [*sorted(suite.own), *others]],
        columns=[Cell(label=metric, metric=metric) for metric in labels],
    )


def copies(suite: Any, names: list[str]) -> dict[str, Table]:
    """<table>-with-<file>: copies of tables with the runs of the user's file; SuiteError if there is no file."""
    if not names:
        return {}
    if suite.extra_runs is None:
        raise SuiteError("compare: there are no runs of your own; name their file with runs=FILE.yml")
    stem, found = stem_of(suite.extra_runs), {}
    for name in names:
        if name not in suite.tables:
            raise unknown("compare", "table", name, suite.tables)
        found[f"{name}-with-{stem}"] = with_runs(suite, name, sorted(suite.from_file))
    return found


def with_runs(suite: Any, name: str, runs: list[str], note: str = "") -> Table:
    """A copy of the table in which each run has a row, or a column where the table's columns are runs."""
    table = suite.tables[name].model_copy(deep=True, update={"copy_of": name})
    table.title += f", with {', '.join(runs)}"
    baselines = [(row.label, run) for row, _, run, _ in suite.cells(table)]
    by_column = any(column.run for column in table.columns)
    labels = {cell.label for cell in (table.columns if by_column else table.rows)}
    for run in runs:
        own = Cell(label=run if run not in labels else f"{run} (own)", run=run, note=note)
        if not by_column:
            everyone = [other for _, other in baselines]
            reasons = {c.label: absent(suite, run, c.metric, everyone) for c in table.columns}
            own.skip = [label for label, reason in reasons.items() if reason]
            own.note = "; ".join(filter(None, [note, *grouped(reasons)]))
            table.rows.append(own)
            continue
        metrics = dict.fromkeys(m for c in table.columns for m in listed(c.metric))
        own.metric = list(metrics) or None
        table.columns.append(own)
        for row in table.rows:
            reason = absent(suite, run, row.metric or own.metric, [o for label, o in baselines if label == row.label])
            if reason:
                row.skip = [*row.skip, own.label]
                row.note = "; ".join(filter(None, [row.note, f"{run} {reason}"]))
    return table


def grouped(reasons: dict[str, str]) -> list[str]:
    """Each reason with the columns that it is about, which go without saying if they are all of them."""
    lines = []
    for reason in dict.fromkeys(filter(None, reasons.values())):
        about = [label for label, other in reasons.items() if other == reason]
        lines.append(reason if len(about) == len(reasons) else f"{', '.join(about)} {reason}")
    return lines


def absent(suite: Any, run: str, metric: str | list[str] | None, others: list[str]) -> str:
    """Why the run has no number beside these runs: other data, or nothing to measure; empty if it has one."""

    def data(name: str) -> str:
        share = suite.run(name).fraction
        return suite.dataset_of(name)[0] + (f" ({100 * share:g} %)" if share < 1 else "")

    there = sorted({data(other) for other in others})
    if there and data(run) not in there:
        return f"not run: it is on {data(run)}, the runs to compare on {' and '.join(there)}"
    declared, method = declarations.metrics()[suite.choose(run, listed(metric))], suite.method_of(run)
    needs = set(declared.literals.get("needs", ()))
    if not method.literals["player_names"] and declared.literals.get("unit", "").startswith("seconds"):
        return "not run: nothing of it was computed here"
    missing = sorted(needs - suite.provides(run))
    return f"not run: {method.name} gives no {' and no '.join(missing)}" if missing else ""
