"""Evaluation of one run and seed: every metric asked of it, each computed only if something changed."""

import importlib
import math
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.config import declarations
from benchmarks.config.declarations import Declared
from benchmarks.errors import NotRunError, SuiteError, first_line
from benchmarks.hardware.devices import choose_device
from benchmarks.jobs.training import load_trained
from benchmarks.metrics.trained import Classifier, Estimate, Trained
from benchmarks.store.metric_files import (
    classifier_folder,
    current,
    images_file,
    method_name,
    missing_capabilities,
    provided,
    refused,
)
from benchmarks.store.records import MetricFile, Result, RunRecord, Source, Status, read, write
from methods.training.atomic_files import DamagedError, WriteError, read_arrays, write_arrays
from methods.training.checkpoint import load_weights
from methods.training.seeds import seed_of

ATTEMPTED = ".attempted"  # metrics during which an evaluation was killed, and the one under way: they come last


def run_metric(declared: Declared, trained: Trained, options: dict[str, Any], step: int, seed: int) -> Result:
    """One metric of one set of weights; an exception becomes a result with its reason."""
    module_name, function = declared.target.split(":")
    literals = declared.literals
    began = time.monotonic()
    torch.manual_seed(seed)
    common: dict[str, Any] = {
        "metric": declared.name,
        "step": step,
        "unit": literals.get("unit", ""),
        "kind": literals.get("kind", "estimate"),
    }
    try:
        found: Estimate = getattr(importlib.import_module(module_name), function)(trained, **options)
        if trained.final and found.per_image is not None and "per_image" in literals:
            values = found.per_image.detach().cpu().numpy().astype(numpy.float32)
            write_arrays(images_file(trained.folder, declared.name), {"values": values})
        require_finite(found, trained.folder, literals.get("artefact"))
        about = [trained.dataset, trained.data.pixels if trained.data else "posterior", literals.get("images", "")]
        if found.kind is not None:
            common["kind"] = found.kind
        return Result(
            **common,
            status="ok",
            value=found.value,
            standard_error=found.standard_error,
            n=found.n,
            protocol=", ".join(filter(None, [*about, found.protocol])),
            details=found.details,
            low=found.low,
            high=found.high,
            warning=found.warning,
            errors=errors_of(found, literals.get("varies")),
            controls=found.controls,
            seconds=round(time.monotonic() - began, 2),
        )
    except NotRunError as reason:
        return Result(**common, status="not run", reason=str(reason))
    except WriteError:
        raise
    except SystemExit as end:
        return Result(**common, status="failed", reason=f"the method ended the process: sys.exit({end.code!r})")
    except Exception as error:  # a user's method may raise anything
        return Result(**common, status="failed", reason=reason_of(error))


def errors_of(found: Estimate, varies: Source | None) -> dict[Source, float]:
    """The standard error by what it is over: the parts that are known of themselves, and the rest over `varies`.

    Parts that are estimated to be more than the whole are the whole together.
    """
    total = found.standard_error
    if total is None or varies is None:
        return {}
    stated: dict[Source, float | None] = {"images": found.images_error, "draws": found.draws_error}
    parts: dict[Source, float] = {source: part for source, part in stated.items() if part is not None}
    if parts.get("draws") == total:  # of a whole population of images
        return {"draws": total}
    known = math.hypot(*parts.values())
    if known > total:
        return {varies: 0.0, **{source: part * total / known for source, part in parts.items()}}
    return {varies: math.sqrt(total**2 - known**2), **parts}


def require_finite(found: Estimate, folder: Path, artefact: str | None) -> None:
    """SuiteError where a metric's value, or the arrays that it has written, hold numbers that are not finite."""
    numbers = {"value": found.value, "standard error": found.standard_error, "low": found.low, "high": found.high}
    for name, number in (numbers | found.details | found.controls).items():
        if isinstance(number, float) and not math.isfinite(number):
            raise SuiteError(f"the {name} is {number}, not a finite number")
    for name, array in read_arrays(folder / artefact).items() if artefact else ():
        wrong = 0 if array.dtype.kind != "f" else int((~numpy.isfinite(array)).sum())
        if wrong:
            raise SuiteError(f"{artefact}: {wrong:,} of {array.size:,} numbers of {name} are not finite")


def reason_of(error: Exception) -> str:
    """Why something failed, in a line; what nobody foresaw with its kind, and a traceback in the log."""
    if isinstance(error, SuiteError | DamagedError):
        return str(error)
    traceback.print_exc()
    return f"{type(error).__name__}: {first_line(error)}"


def snapshots(folder: Path, steps: list[int]) -> list[tuple[int, Path]]:
    """(round, weights) of the snapshots that are there."""
    paths = [(step, folder / "snapshots" / f"{step:08d}.safetensors") for step in steps]
    return [(step, path) for step, path in paths if path.exists()]


def evaluation_seed(dataset: str, seed: int, metric: str) -> int:
    """The seed of a metric's draws: all methods are judged with the same ones."""
    return seed_of(dataset, seed, f"evaluation/{metric}")


def samples_seed(seed: int) -> int:
    """The seed of a method's samples: the same z for every method whose code has as many numbers."""
    return seed_of("", seed, "evaluation/samples")


def evaluate_metric(name: str, entry: dict[str, Any], record: RunRecord, folder: Path, trained: Trained) -> MetricFile:
    """Results of one metric at earlier rounds, and last at the last round.

    Metrics that make a curve are evaluated at each snapshot, others at `settled_at` where the entry says one: by how
    much has the number changed since?
    """
    declared = declarations.metrics()[name]
    seed = evaluation_seed(record.dataset, record.seed, name)
    asked = [entry["settled_at"]] if "settled_at" in entry else []
    if declared.literals.get("every_snapshot"):
        asked = record.specification["train"]["snapshots"]
    earlier = snapshots(folder, [step for step in asked if step < record.steps])
    results = []
    for step, path in earlier:
        try:
            load_weights(path, trained.method)
        except DamagedError as error:
            path.replace(path.with_name(f"{path.name}.damaged"))  # missing, so that the next call trains again
            raise SuiteError(f"{error.what}: set aside; the next call trains again") from error
        results.append(run_metric(declared, replace(trained, final=False), entry["options"], step, seed))
    if earlier:
        load_weights(folder / "weights.safetensors", trained.method)
    results.append(run_metric(declared, trained, entry["options"], record.steps, seed))
    return MetricFile(key="", results=results)


def compute(
    metrics: dict[str, dict[str, Any]], folder: Path, *, root: Path, references: Path, device_name: str = "auto"
) -> dict[str, Status]:
    """Write `<metric>.json` for each metric; what is current is not computed again."""
    record = read(folder / "run.json", RunRecord)
    statuses: dict[str, Status] = {}
    trained: Trained | None = None
    failure: tuple[Status, str] | None = None
    if record.status != "ok":
        failure = record.status, f"training {record.status}: {record.reason}"
    attempted = folder / ATTEMPTED
    killers = attempted.read_text(encoding="utf-8").split() if attempted.exists() else []
    for name, entry in sorted(metrics.items(), key=lambda item: item[0] in killers):
        declared = declarations.metrics()[name]
        key, found = current(name, entry, record, folder, references)
        if record.status == "ok" and found is not None:
            statuses[name] = found.results[-1].status
            continue
        absent = missing_capabilities(declared, provided(record))
        if trained is None and failure is None and not absent:
            try:
                trained = open_trained(record, folder, root, references, choose_device(device_name))
            except NotRunError as reason:
                failure = "not run", str(reason)
            except WriteError:
                raise
            except Exception as error:  # the networks are built again: a user's method may raise anything
                failure = "failed", reason_of(error)
        if failure is not None:
            found = refused(name, declared, *failure)
        elif absent or trained is None:
            found = refused(name, declared, "not run", f"{method_name(record)} gives no {' and no '.join(absent)}")
        else:
            attempted.write_text("\n".join([*killers, name]), encoding="utf-8")
            try:
                found = evaluate_metric(name, entry, record, folder, trained)
            except SuiteError as error:
                found = refused(name, declared, "failed", str(error))
        write(
            folder / f"{name}.json",
            found.model_copy(update={"key": key, "entry": entry, "weights": record.weights_sha256}),
        )
        statuses[name] = found.results[-1].status
    attempted.unlink(missing_ok=True)
    return {name: statuses[name] for name in metrics}


def open_trained(record: RunRecord, folder: Path, root: Path, references: Path, device: torch.device) -> Trained:
    """The trained method with its data, ready for metrics."""
    method, data, problem = load_trained(record, folder, root, device)
    judge_folder = classifier_folder(record.dataset, references)

    def classifier(judge_folder: Path) -> Classifier:
        if not (judge_folder / "metrics.json").exists():
            raise NotRunError(
                f"classifier {judge_folder.parent.name} is not trained yet; run snakemake for the table first"
            )
        judge = read(judge_folder / "run.json", RunRecord)
        if judge.status != "ok":
            raise NotRunError(f"classifier {judge.run}: training {judge.status}: {judge.reason}")
        accuracy = read(judge_folder / "accuracy.json", MetricFile).results[-1]
        network: Any = load_trained(judge, judge_folder, root, device)[0]
        return Classifier(
            network.judge,
            judge.weights_sha256[:12],
            {
                "classifier's test accuracy": accuracy.value or 0.0,
                **{f"its {k}": v for k, v in accuracy.details.items()},
            },
        )

    return Trained(
        method,
        record.specification["latent_dim"],
        record.dataset,
        data,
        problem,
        folder,
        references,
        device,
        provides=frozenset(provided(record)),
        images_per_second=record.images_per_second,
        find_classifier=partial(classifier, judge_folder) if judge_folder is not None else None,
        root=root,
        seed=samples_seed(record.seed),
    )
