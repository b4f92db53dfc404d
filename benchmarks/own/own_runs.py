"""A user's own runs: what their file leaves unsaid, and their places in copies of the suite's tables.

Imports no torch: Snakemake parses this at every call.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import catalogue
from benchmarks.catalogue import Declared
from benchmarks.config import Cell, Run, Table, load_yaml, validated
from benchmarks.errors import SuiteError, unknown

if TYPE_CHECKING:
    from benchmarks.suite import Suite

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = ("logs", "own", "references")  # folders beside those of runs
MAPPINGS = ("components", "options", "train", "search", "profiles")


def checked_name(where: str, name: object, known: Iterable[str]) -> str:
    """The name, which will be a folder and a word of a shell command; SuiteError if it is unsafe or taken."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SuiteError(f"{where}: name {name!r}: expected letters, digits, '.', '_' and '-', the first no sign")
    if name in RESERVED or name in known:
        raise SuiteError(f"{where}: the suite has a {name!r} already; rename yours")
    return name


def load(path: Path, known: dict[str, Run]) -> dict[str, Run]:
    """The runs of a user's file; `like: RUN` gives a run all that it does not say. SuiteError names file and key."""
    content = {checked_name(str(path), name, known): entry for name, entry in load_yaml(path).items()}

    def resolve(name: str, behind: list[str]) -> Run:
        where = f"{path}: {name}"
        said = located(content[name], path.parent)
        like = said.pop("like", None) if isinstance(said, dict) else None
        if like is None:
            return validated(where, Run, said)
        chain = [*behind, name]
        if like in chain:
            raise SuiteError(f"{where}: like: {' -> '.join([*chain, like])} is a circle; let one say everything")
        if not isinstance(like, str) or (like not in content and like not in known):
            raise unknown(f"{where}: like", "run", like, [*known, *content])
        base = resolve(like, chain) if like in content else known[like]
        return validated(where, Run, completed(where, said, base))

    return {name: resolve(name, []) for name in content}


def located(value: Any, folder: Path) -> Any:
    """The value with `file.py:Class` relative to the folder of the file that says it."""
    if isinstance(value, dict):
        return {
            k: str(folder / v)
            if k in ("method", "class") and isinstance(v, str) and ".py:" in v
            else located(v, folder)
            for k, v in value.items()
        }
    return value


def completed(where: str, said: dict[str, Any], base: Run) -> dict[str, Any]:
    """What is said, and of `base` the rest that fits the method: data, networks by role, options, budgets.

    What is said holds in every profile: a budget of `base` changes no training setting that is said, and an option
    that is said is searched no more.
    """
    for key in MAPPINGS:
        if not isinstance(said.get(key, {}), dict):
            raise SuiteError(f"{where}: {key} is {said[key]!r}; expected a mapping")
    method = catalogue.component_class(f"{where}: method", str(said.get("method", base.method)))
    whole = base.model_dump(exclude_unset=True, exclude={"note", "deviations"})
    fixed = said.get("options", {})
    for key in ("components", "options", "search"):
        fitting = {k: v for k, v in whole.get(key, {}).items() if k in method.parameters}
        if key == "search":
            fitting = {k: v for k, v in fitting.items() if k not in fixed}
        whole[key] = fitting | said.get(key, {})
    train = said.get("train", {})
    whole["train"] = unsaid(where, whole["train"], train, method) | train
    for name, budget in whole.get("profiles", {}).items():
        for key in {"why", "network"} | (said.keys() & {"latent_dim", "search"}):
            budget.pop(key, None)
        budget["train"] = unsaid(where, budget.get("train", {}), train, method)
        if "search" in budget:
            budget["search"] = {k: v for k, v in budget["search"].items() if k not in fixed}
        more = said.get("profiles", {}).get(name)
        if isinstance(more, dict):
            budget |= more
    profiles = {**said.get("profiles", {}), **whole.get("profiles", {})}
    return {**whole, **{k: v for k, v in said.items() if k not in MAPPINGS}, "profiles": profiles}


def unsaid(where: str, inherited: dict[str, Any], said: dict[str, Any], method: Declared) -> dict[str, Any]:
    """The inherited training settings that are not said; learning rates are those of the method's players."""
    rest = {k: v for k, v in inherited.items() if k not in said}
    if said.get("validate_every") == 0:
        rest.pop("patience", None)
    if said.get("optimiser", "adam") != "adam":
        rest.pop("betas", None)
    rates, players = rest.get("learning_rate"), method.literals.get("player_names", ())
    if isinstance(rates, dict):
        for player in players:
            if player not in rates:
                raise SuiteError(
                    f"{where}: train.learning_rate: the run it is like has rates for {', '.join(rates)}, none for "
                    f"player {player!r}; say learning_rate"
                )
        rest["learning_rate"] = {player: rates[player] for player in players}
    return rest


def table_of(suite: "Suite", alone: bool) -> Table:
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


def stem_of(runs: Path) -> str:
    """The name of a runs file as part of other names: of letters that mean nothing to a shell."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", runs.stem)


def copies(suite: "Suite", names: list[str]) -> dict[str, Table]:
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


def with_runs(suite: "Suite", name: str, runs: list[str], note: str = "") -> Table:
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


def listed(metric: str | list[str] | None) -> list[str]:
    """One name or several, as a list."""
    return [] if metric is None else [metric] if isinstance(metric, str) else metric


def grouped(reasons: dict[str, str]) -> list[str]:
    """Each reason with the columns that it is about, which go without saying if they are all of them."""
    lines = []
    for reason in dict.fromkeys(filter(None, reasons.values())):
        about = [label for label, other in reasons.items() if other == reason]
        lines.append(reason if len(about) == len(reasons) else f"{', '.join(about)} {reason}")
    return lines


def absent(suite: "Suite", run: str, metric: str | list[str] | None, others: list[str]) -> str:
    """Why the run has no number beside these runs: other data, or nothing to measure; empty if it has one."""

    def data(name: str) -> str:
        share = suite.run(name).fraction
        return suite.dataset_of(name)[0] + (f" ({100 * share:g} %)" if share < 1 else "")

    there = sorted({data(other) for other in others})
    if there and data(run) not in there:
        return f"not run: it is on {data(run)}, the runs to compare on {' and '.join(there)}"
    declared, method = catalogue.metrics()[suite.choose(run, listed(metric))], suite.method_of(run)
    needs = set(declared.literals.get("needs", ()))
    if not method.literals["player_names"] and declared.literals.get("unit", "").startswith("seconds"):
        return "not run: nothing of it was computed here"
    missing = sorted(needs - suite.provides(run))
    return f"not run: {method.name} gives no {' and no '.join(missing)}" if missing else ""
