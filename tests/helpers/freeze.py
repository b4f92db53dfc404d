"""What reorganising the code must not change, as files in tests/plan/frozen.

`python -m tests.helpers.freeze` writes them anew.

`specifications.json`: profile -> run -> hash of the resolved specification, hash of the metrics with their options, and
number of seeds; modules are left out of class names. `results.csv`: a part of the results of profile quick, and beside
it tables and claims as they are rendered from it.
"""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas

from benchmarks.config.models import Claim
from benchmarks.plan.suite import Suite
from benchmarks.report import compare, tables
from benchmarks.statistics import claims
from benchmarks.store.records import canonical

FOLDER = Path(__file__).parents[1] / "plan" / "frozen"
PROFILES = ("smoke", "quick", "quick-seeds", "laptop", "paper")
TABLES = ("avb-table-1", "bavae-ours-mnist", "unifying-table-3")


def plain(value: Any) -> Any:
    """The value with `module:Class` as `Class`, and no hashes of code."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in ("code", "declares")}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return re.sub(r"^(methods|benchmarks)\.[\w.]+:", "", value) if isinstance(value, str) else value


def short(value: Any) -> str:
    """A hash of 12 digits."""
    return hashlib.sha256(canonical(plain(value)).encode()).hexdigest()[:12]


def specifications(profile: str) -> dict[str, list[Any]]:
    """Run -> [specification, metrics, seeds] of every wanted run."""
    suite = Suite(profile)
    return {
        run: [short(suite.specification(run)), short(suite.metric_options(run)), suite.seeds(run)]
        for run in sorted(suite.wanted)
    }


def runs_of(claim: Claim) -> set[str]:
    """The runs whose numbers a claim takes."""
    return {run for quantity in claim.quantities() for run in quantity.runs()}


def rendered(folder: Path) -> dict[str, str]:
    """File -> text of tables and claims from the stored results, written into `folder` on the way."""
    suite, frame = Suite("quick"), pandas.read_csv(FOLDER / "results.csv", keep_default_na=True)
    for name in TABLES:
        grid = compare.table_cells(suite, frame, name, suite.tables[name])
        tables.write(suite, name, suite.tables[name], grid, folder)
    stored = {name: c for name, c in suite.claims.items() if c.quantities() and runs_of(c) <= set(frame.run)}
    outcomes = claims.decide(suite, [claims.measure(name, claim, frame) for name, claim in stored.items()])
    lines = [f"{o.name}: {o.verdict}, {o.effect}, {o.corrected}, {o.reason}" for o in outcomes]
    (folder / "claims.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def main() -> None:
    """Write all files; with an argument, results.csv from that table of results first."""
    if len(sys.argv) > 1:
        suite, frame = Suite("quick"), pandas.read_csv(sys.argv[1], low_memory=False)
        runs = {run for name in TABLES for *_, run, _ in suite.cells(suite.tables[name])}
        part = frame.loc[frame.run.isin(runs)]
        part.drop(columns=["versions", "parameters"]).to_csv(FOLDER / "results.csv", index=False)
    lines = [
        f" {json.dumps(profile)}: {{\n"
        + ",\n".join(f"  {json.dumps(run)}: {json.dumps(found)}" for run, found in specifications(profile).items())
        + "\n }"
        for profile in PROFILES
    ]
    (FOLDER / "specifications.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    (FOLDER / "rendered").mkdir(exist_ok=True)
    rendered(FOLDER / "rendered")


if __name__ == "__main__":
    main()
