"""The one long table of results: a row for each (run, seed, metric, round)."""

import json
from pathlib import Path
from typing import Any

import pandas

from benchmarks.records import MetricFile, Result, RunRecord, read
from benchmarks.suite import Job, Suite

RUN_COLUMNS = (
    "run", "seed", "profile", "dataset", "steps", "paper_steps", "seconds", "images_per_second",
    "peak_memory_mib", "device", "hardware", "threads", "precision", "commit", "started", "images", "labelled_images",
    "dirty", "environment_sha256", "data_sha256", "weights_sha256",
    "gpu_seconds", "peak_gpu_memory_mib", "energy_kwh", "energy_source",
)  # fmt: skip


def folder_of(suite: Suite) -> Path:
    """results/<profile>."""
    return Path("results") / suite.name


PENDING = "not computed yet; run snakemake to go on"


def record_of(folder: Path, job: Job, profile: str) -> RunRecord:
    """The job's run record; one that says so if it is not there (a report of part of the DAG)."""
    if (folder / "run.json").exists():
        return read(folder / "run.json", RunRecord)
    return RunRecord(
        run=job.run,
        seed=job.seed,
        profile=profile,
        status="not run",
        reason=PENDING,
        specification=job.specification,
        dataset=job.specification["dataset"],
    )


def results_of(path: Path, metric: str) -> list[Result]:
    """The metric's results; one that says so if they are not there."""
    return (
        read(path, MetricFile).results if path.exists() else [Result(metric=metric, status="not run", reason=PENDING)]
    )


def rows_of(suite: Suite, job: Job, folder: Path) -> list[dict[str, Any]]:
    """A row for each metric of one job (and round), from its records in `folder`."""
    record = record_of(folder, job, suite.name)
    common = {name: getattr(record, name) for name in RUN_COLUMNS}
    common |= {
        "method": job.specification["method"].rsplit(":", 1)[1],
        "paper_dataset": suite.run(job.run).dataset,
        "train_status": record.status,
        "train_reason": record.reason,
        "parameters": json.dumps(record.parameters),
        "versions": json.dumps(record.versions),
    }
    rows = []
    for metric in job.metrics:
        results = results_of(folder / f"{metric}.json", metric)
        for result in results:
            values = result.model_dump()
            values["details"] = json.dumps(values["details"])
            values["evaluation_seconds"] = values.pop("seconds")
            rows.append({**common, **values, "final": result is results[-1]})
    return rows


def collect(suite: Suite) -> pandas.DataFrame:
    """Read every record of the profile's jobs; writes results.parquet, results.csv and results.json."""
    frame = pandas.DataFrame(
        [row for key, job in suite.jobs.items() for row in rows_of(suite, job, folder_of(suite) / key)]
    )
    frame.to_parquet(folder_of(suite) / "results.parquet", index=False)
    frame.to_csv(folder_of(suite) / "results.csv", index=False)
    frame.to_json(folder_of(suite) / "results.json", orient="records", indent=1)
    return frame


def load(suite: Suite) -> pandas.DataFrame:
    """The collected table."""
    return pandas.read_parquet(folder_of(suite) / "results.parquet")


def set_failures_aside(suite: Suite) -> list[str]:
    """Lines for the failed cells; their records are renamed, so that the next call tries them again."""
    lines = []
    for key, job in suite.jobs.items():
        folder = folder_of(suite) / key
        record = read(folder / "run.json", RunRecord)
        failed = [m for m in job.metrics if read(folder / f"{m}.json", MetricFile).results[-1].status == "failed"]
        if record.status == "failed":
            lines.append(f"{key}: training: {record.reason}")
            (folder / "run.json").replace(folder / "run.failed.json")
        else:
            reasons = {m: read(folder / f"{m}.json", MetricFile).results[-1].reason for m in failed}
            lines += [f"{key}: {metric}: {reason}" for metric, reason in reasons.items()]
        if failed:
            (folder / "metrics.json").replace(folder / "metrics.failed.json")
    return lines
