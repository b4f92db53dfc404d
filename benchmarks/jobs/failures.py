"""The records of jobs whose process ended without one: killed, or ended by the code that it ran. Imports no torch."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.config import declarations
from benchmarks.plan.suite import Suite
from benchmarks.store.metric_files import current, finish, refused
from benchmarks.store.records import Contract, Reference, RunRecord, Status, read, write


def training(suite: Suite, arguments: argparse.Namespace, specification: dict[str, Any], folder: Path) -> int:
    """`run.json` of a training that ended so."""
    record = RunRecord(
        run=arguments.run,
        seed=arguments.seed,
        profile=arguments.profile,
        status="failed",
        reason=arguments.failed,
        specification=specification,
        dataset=specification["dataset"],
        code=suite.code(arguments.run),
        data=suite.data(arguments.run),
        paper_steps=specification["paper_steps"],
        precision=specification["train"]["precision"],
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write(folder / "run.json", record)
    return 0


def evaluation(metrics: dict[str, dict[str, Any]], folder: Path, references: Path, reason: str) -> int:
    """`metrics.json`, and a failed `<metric>.json` for each metric that the evaluation did not come to."""
    record = read(folder / "run.json", RunRecord)
    statuses: dict[str, Status] = {}
    for name, entry in metrics.items():
        key, found = current(name, entry, record, folder, references, settled=False)
        if found is None:
            stamp = {"key": key, "entry": entry, "weights": record.weights_sha256}
            found = refused(name, declarations.metrics()[name], "failed", f"evaluation {reason}")
            write(folder / f"{name}.json", found.model_copy(update=stamp))
        statuses[name] = found.results[-1].status
    finish(record, folder, statuses)
    return 0


def reference(suite: Suite, problem: str, folder: Path, reason: str) -> int:
    """`references/<problem>.json` of draws that were not made."""
    (folder / f"{problem}.npz").unlink(missing_ok=True)  # of another code, perhaps
    record = Reference(problem=problem, status="failed", reason=reason, code=suite.reference_code(problem))
    write(folder / f"{problem}.json", record)
    return 0


def contract(run: str, key: str, file: Path, reason: str) -> int:
    """`contract.json` of contract tests that ended so."""
    write(file, Contract(run=run, status="failed", reason=reason, key=key))
    return 0
