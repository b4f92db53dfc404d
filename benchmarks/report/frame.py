"""The one long table of results: a row for each (run, seed, metric, round)."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas

from benchmarks.errors import SuiteError
from benchmarks.jobs.metric_files import faults, training_faults
from benchmarks.look.freshness import Freshness
from benchmarks.records import Evaluation, MetricFile, Result, RunRecord, read, read_json
from benchmarks.suite import Job, Suite
from methods.files import DamagedError, read_arrays, read_frame, replacing, write_frame

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


def reference_faults(path: Path) -> dict[Path, str]:
    """File -> what is wrong with it, of a reference's record and draws; nothing if it is yet to be made."""
    try:
        if path.exists():
            read_json(path)
            read_arrays(path.with_suffix(".npz"))
    except DamagedError as error:
        return {path: error.what}
    except FileNotFoundError as error:
        return {path: f"{error.filename}: missing"}
    return {}


def require_whole(suite: Suite) -> None:
    """SuiteError if a finished job's file is damaged or gone; it is set aside, and the next call makes it anew.

    Snakemake sees the files that mark the end of a job, and of these only whether they exist and since when.
    """
    lines = []
    for path in [folder_of(suite) / "references" / f"{name}.json" for name in suite.problems]:
        wrong = reference_faults(path)
        lines += wrong.values()
        set_aside(wrong)
    for folder in [folder_of(suite) / key for key in suite.jobs]:
        marks = {name: folder / f"{name}.json" for name in ("run", "metrics")}
        wrong: dict[Path, str] = {}
        for kind, mark in ((RunRecord, marks["run"]), (Evaluation, marks["metrics"])):
            try:
                record = read(mark, kind) if mark.exists() else None
            except DamagedError as error:
                wrong[mark] = error.what
                continue
            if isinstance(record, RunRecord) and (lost := training_faults(record, folder)):
                wrong |= {mark: "", **lost}
            for metric in record.metrics if isinstance(record, Evaluation) else ():
                wrong |= faults(folder, metric)
        if wrong:
            lines += filter(None, wrong.values())
            set_aside([*wrong, marks["metrics"]])
    if lines:
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        raise SuiteError(f"{lines[0]}{more}: set aside; give the same command again to make it anew")


def set_aside(paths: Iterable[Path]) -> None:
    """Rename files, where they exist, so that nothing takes them for results."""
    for path in paths:
        if path.exists():
            path.replace(path.with_name(f"{path.name}.damaged"))


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
    require_whole(suite)
    frame = pandas.DataFrame(
        [row for key, job in suite.jobs.items() for row in rows_of(suite, job, folder_of(suite) / key)]
    )
    write_frame(folder_of(suite) / "results.parquet", frame)
    with replacing(folder_of(suite) / "results.csv") as temporary:
        frame.to_csv(temporary, index=False)
    with replacing(folder_of(suite) / "results.json") as temporary:
        frame.to_json(temporary, orient="records", indent=1)
    return frame


def load(suite: Suite) -> pandas.DataFrame:
    """The collected table; SuiteError or DamagedError if it, or what a figure reads, is not what was written."""
    require_whole(suite)
    return read_frame(folder_of(suite) / "results.parquet")


def set_cells_aside(suite: Suite) -> list[str]:
    """Lines for the cells that failed or that the call left stale, whose records are renamed: the next call makes them.

    Snakemake goes by its own account, which holds nothing of what was trained by hand or brought from another folder.
    """
    lines = []
    for key, state in Freshness(suite).jobs.items():
        folder = folder_of(suite) / key
        if state.train or state.evaluate:
            lines.append(f"stale: {key}: {state.train or state.evaluate}; Snakemake could not know, the next call will")
            _rename(folder, "stale", ("run", "metrics") if state.train else ("metrics",))
            continue
        record = read(folder / "run.json", RunRecord)
        results = {m: read(folder / f"{m}.json", MetricFile).results[-1] for m in state.job.metrics}
        failed = {m: result.reason for m, result in results.items() if result.status == "failed"}
        if record.status == "failed":
            lines.append(f"failed: {key}: training: {record.reason}")
            _rename(folder, "failed", ("run",))
        else:
            lines += [f"failed: {key}: {metric}: {reason}" for metric, reason in failed.items()]
        if failed:
            _rename(folder, "failed", ("metrics",))
    return lines


def _rename(folder: Path, mark: str, names: Iterable[str]) -> None:
    for path in [folder / f"{name}.json" for name in names]:
        if path.exists():
            path.replace(path.with_suffix(f".{mark}.json"))
