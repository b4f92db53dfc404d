"""The comparison of a user's runs with the baselines, as Markdown and CSV; their contract tests."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas

from benchmarks.plan.suite import Suite
from benchmarks.report.compare import number
from benchmarks.report.faults import Faults
from benchmarks.statistics.differences import RULE, Difference, differences
from benchmarks.store.records import Contract, read
from methods.training.atomic_files import DamagedError


def interval(found: Difference) -> str:
    """Difference and 95 % interval; empty where there is none."""
    if found.difference is None:
        return ""
    ends = f" [{number(found.low)}, {number(found.high)}]" if found.low is not None else ""
    return number(found.difference) + ends


def markdown(found: list[Difference]) -> str:
    """A Markdown table with the rule above it."""
    lines = ["#### Differences", "", RULE, "", "| column | run | baseline | difference | seeds | p (Holm) | verdict |"]
    lines.append("|---" * 7 + "|")
    for d in found:
        p = "" if d.corrected is None else f"{d.corrected:.2g}"
        verdict = d.verdict + (f" ({d.reason})" if d.reason else "")
        cells = (d.column, d.run, d.baseline, interval(d), str(d.seeds or ""), p, verdict)
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
