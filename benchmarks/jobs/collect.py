"""The one long table of results: a row for each (run, seed, metric, round)."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas

from benchmarks.config import declarations
from benchmarks.errors import first_line
from benchmarks.plan import rendered
from benchmarks.plan.rendered import Rendered
from benchmarks.plan.staleness import UNSETTLED, Freshness
from benchmarks.plan.suite import Job, Suite
from benchmarks.store.metric_files import faults
from benchmarks.store.records import Evaluation, MetricFile, Result, RunRecord, read, write
from methods.training.atomic_files import DamagedError, read_frame, replacing, write_frame

RUN_COLUMNS = (
    "run", "seed", "profile", "dataset", "steps", "paper_steps", "seconds", "images_per_second",
    "peak_memory_mib", "device", "hardware", "threads", "precision", "commit", "started", "images", "labelled_images",
    "dirty", "environment_sha256", "data_sha256", "weights_sha256",
    "gpu_seconds", "peak_gpu_memory_mib", "energy_kwh", "energy_source", "diverged",
)  # fmt: skip


def folder_of(suite: Suite) -> Path:
    """results/<profile>."""
    return Path("results") / suite.name


PENDING = "not computed yet; run snakemake to go on"


def record_of(folder: Path, job: Job, profile: str) -> RunRecord:
    """The job's run record; one that says so if it is not there (a report of part of the DAG). Raises DamagedError."""
    if (folder / "run.json").exists():
        return read(folder / "run.json", RunRecord)
    return pending(job, profile)


def pending(job: Job, profile: str) -> RunRecord:
    """The record of a job that is yet to be done."""
    return RunRecord(
        run=job.run,
        seed=job.seed,
        profile=profile,
        status="not run",
        reason=PENDING,
        specification=job.specification,
        dataset=job.specification["dataset"],
    )


def results_of(folder: Path, metric: str) -> list[Result]:
    """The metric's results; one that says so if they are not there, or damaged."""
    if not (folder / f"{metric}.json").exists():
        return [Result(metric=metric, status="not run", reason=PENDING)]
    if wrong := faults(folder, metric):
        return [Result(metric=metric, status="failed", reason=next(iter(wrong.values())))]
    return read(folder / f"{metric}.json", MetricFile).results


def rows_of(suite: Suite, job: Job, folder: Path) -> list[dict[str, Any]]:
    """A row for each metric of one job (and round), from its records in `folder`; a damaged one is a failed cell."""
    try:
        record = record_of(folder, job, suite.name)
    except DamagedError as error:
        record = pending(job, suite.name).model_copy(update={"status": "failed", "reason": error.what})
    common = {name: getattr(record, name) for name in RUN_COLUMNS}
    common |= {
        "method": job.specification["method"].rsplit(":", 1)[1],
        "paper_dataset": suite.runs[job.run].dataset if job.run in suite.runs else record.dataset,
        "train_status": record.status,
        "train_reason": record.reason,
        "parameters": json.dumps(record.parameters),
        "versions": json.dumps(record.versions),
    }
    rows = []
    for metric in job.metrics:
        results = results_of(folder, metric)
        for result in results:
            values = result.model_dump()
            values |= {name: json.dumps(values[name]) for name in ("details", "errors", "controls")}
            values["evaluation_seconds"] = values.pop("seconds")
            rows.append({**common, **values, "final": result is results[-1]})
    return rows


def others(suite: Suite) -> Iterator[list[dict[str, Any]]]:
    """The rows of what else was evaluated in this profile: by other calls, or of other runs of a user's.

    What cannot be read is left out, with a line on standard error.
    """
    for path in sorted(folder_of(suite).glob("*/seed*/metrics.json")):
        folder = path.parent
        if f"{folder.parent.name}/{folder.name}" in suite.jobs:
            continue
        try:
            record, evaluated = read(folder / "run.json", RunRecord), read(path, Evaluation)
            metrics = {name: {} for name in evaluated.metrics if name in declarations.metrics()}
            yield rows_of(suite, Job(record.run, record.seed, record.specification, metrics), folder)
        except Exception as error:  # of whatever age and origin it may be
            print(f"{folder}: {first_line(error)}: left out of the results", file=sys.stderr)


def collect(suite: Suite) -> pandas.DataFrame:
    """Read every record of the profile; writes results.parquet, results.csv, results.json and files.json.

    A selection of runs adds to what is there. Raises WriteError.
    """
    folder = folder_of(suite)
    rows = [row for key, job in suite.jobs.items() for row in rows_of(suite, job, folder / key)]
    rows += [row for found in others(suite) for row in found]
    rows.sort(key=lambda row: (row["run"], row["seed"]))
    frame = pandas.DataFrame(rows, columns=None if rows else ["run", "seed", "metric", "status"])
    write_frame(folder / "results.parquet", frame)
    with replacing(folder / "results.csv") as temporary:
        frame.to_csv(temporary, index=False)
    with replacing(folder / "results.json") as temporary:
        frame.to_json(temporary, orient="records", indent=1)
    keys = zip(frame.run, frame.seed, frame.metric, strict=True)
    cells = sorted({f"{run}/seed{seed}/{metric}" for run, seed, metric in keys})
    write(folder / rendered.NAME, Rendered(files=rendered.sums(folder, rendered.RESULTS), cells=cells))
    return frame


def load(suite: Suite) -> pandas.DataFrame:
    """The rows of the suite's jobs in the collected table; DamagedError if it is not what was written."""
    frame = read_frame(folder_of(suite) / "results.parquet")
    keys = frame.run + "/seed" + frame.seed.astype(str)
    unknown = sorted(suite.jobs.keys() - set(keys))
    lacking = [row for key in unknown for row in rows_of(suite, suite.jobs[key], folder_of(suite) / key)]
    found = frame.loc[keys.isin(suite.jobs)]
    return pandas.concat([found, pandas.DataFrame(lacking)], ignore_index=True) if lacking else found


def unsettled(suite: Suite) -> list[str]:
    """Lines for what failed, and for what the call left stale: the next call makes it again."""
    state, folder = Freshness(suite), folder_of(suite)
    lines = [f"reference {name}: {why}" for name, why in state.problems.items() if why]
    lines += [f"failed: {run}: contract: {line}" for run in state.contracts for line in state.failed_checks(run)]
    for key, job in state.jobs.items():
        if job.record is not None and job.record.status == "failed":
            lines.append(f"failed: {key}: training: {job.record.reason}")
        elif job.train:
            lines.append(f"stale: {key}: {job.train}")
        else:
            causes: dict[tuple[str, str], list[str]] = {}
            for cell in job.cells:
                if cell.state in UNSETTLED:
                    causes.setdefault((cell.state, cell.why), []).append(cell.metric)
            lines += [f"{kind}: {key}: {', '.join(metrics)}: {why}" for (kind, why), metrics in causes.items()]
    return lines + [f"{file}: {why}" for file, why in rendered.again(suite, folder).items() if why]
