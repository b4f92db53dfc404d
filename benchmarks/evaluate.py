"""Evaluation of one run and seed: every metric asked of it, each computed only if something changed."""

import hashlib
import importlib
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import catalogue
from benchmarks.catalogue import Declared
from benchmarks.config import Dataset, dataset_named, load_file
from benchmarks.definitions import provides
from benchmarks.errors import NotRunError, SuiteError
from benchmarks.execute import choose_device, load_trained, seed_of, sha256
from benchmarks.records import Evaluation, MetricFile, Result, RunRecord, Status, canonical, read, write
from benchmarks.trained import Classifier, Estimate, Trained
from methods.checkpoint import load_weights


def missing_capabilities(declared: Declared, provides: set[str]) -> list[str]:
    """What the metric needs and the run does not provide."""
    return sorted(set(declared.literals.get("needs", ())) - provides)


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
        pixels = f"{trained.data.pixels}, test split" if trained.data else "posterior"
        return Result(
            **common,
            status="ok",
            value=found.value,
            standard_error=found.standard_error,
            n=found.n,
            protocol=f"{trained.dataset}, {pixels}, {found.protocol}",
            details=found.details,
            seconds=round(time.monotonic() - began, 2),
        )
    except NotRunError as reason:
        return Result(**common, status="not run", reason=str(reason))
    except Exception as error:
        traceback.print_exc()
        return Result(**common, status="failed", reason=f"{type(error).__name__}: {str(error).splitlines()[0]}")


def snapshots(folder: Path, steps: list[int]) -> list[tuple[int, Path]]:
    """(round, weights) of the snapshots that are there."""
    paths = [(step, folder / "snapshots" / f"{step:08d}.safetensors") for step in steps]
    return [(step, path) for step, path in paths if path.exists()]


def classifier_folder(dataset: str, references: Path) -> Path | None:
    """Where the dataset's evaluation classifier was trained, if it has one."""
    name = dataset_named("run", dataset, load_file("datasets.yml", Dataset)).classifier
    return references.parent / name / "seed0" if name else None


def key_of(record: RunRecord, declared: Declared, entry: dict[str, Any], references: Path) -> str:
    """A metric file is current while its weights, options, code, reference and classifier are the same."""
    basis = [references / f"{record.dataset}.npz"]
    folder = classifier_folder(record.dataset, references)
    if folder is not None and "classifier" in declared.literals.get("needs", ()):
        basis.append(folder / "weights.safetensors")
    parts = [record.weights_sha256, canonical(entry), *(sha256(path) for path in basis if path.exists())]
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def evaluate_metric(name: str, entry: dict[str, Any], record: RunRecord, folder: Path, trained: Trained) -> MetricFile:
    """Results of one metric at the last round, and at each snapshot for metrics that make a curve."""
    declared = catalogue.metrics()[name]
    seed = seed_of(record.run, record.seed, f"evaluation/{name}")
    results = []
    if declared.literals.get("every_snapshot"):
        for step, path in snapshots(folder, record.specification["train"]["snapshots"][:-1]):
            load_weights(path, trained.method)
            results.append(run_metric(declared, replace(trained, final=False), entry["options"], step, seed))
        load_weights(folder / "weights.safetensors", trained.method)
    results.append(run_metric(declared, trained, entry["options"], record.steps, seed))
    return MetricFile(key="", results=results)


def evaluate(
    metrics: dict[str, dict[str, Any]], folder: Path, *, root: Path, references: Path, device_name: str = "auto"
) -> Evaluation:
    """Write `<metric>.json` for each metric and `metrics.json`; what is current is not computed again."""
    record = read(folder / "run.json", RunRecord)
    statuses: dict[str, Status] = {}
    trained: Trained | None = None
    failure: tuple[Status, str] | None = None
    if record.status != "ok":
        failure = record.status, f"training {record.status}: {record.reason}"
    for name, entry in metrics.items():
        declared = catalogue.metrics()[name]
        path = folder / f"{name}.json"
        key = key_of(record, declared, entry, references)
        current = read(path, MetricFile) if path.exists() else None
        if failure is None and current is not None and current.key == key and current.results[-1].status == "ok":
            statuses[name] = "ok"
            continue
        absent = missing_capabilities(declared, provided(record))
        if absent and failure is None:
            found = refused(name, declared, "not run", f"{method_name(record)} gives no {' and no '.join(absent)}")
        else:
            if trained is None and failure is None:
                try:
                    trained = open_trained(record, folder, root, references, choose_device(device_name))
                except (SuiteError, NotRunError, ValueError) as error:
                    traceback.print_exc()
                    failure = "not run" if isinstance(error, NotRunError) else "failed", str(error)
            if failure is not None:
                found = refused(name, declared, *failure)
            else:
                assert trained is not None
                found = evaluate_metric(name, entry, record, folder, trained)
        write(path, found.model_copy(update={"key": key}))
        statuses[name] = found.results[-1].status
    evaluation = Evaluation(run=record.run, seed=record.seed, metrics=statuses)
    write(folder / "metrics.json", evaluation)
    return evaluation


def refused(name: str, declared: Declared, status: Status, reason: str) -> MetricFile:
    """A metric file that says why there is no number."""
    unit, kind = declared.literals.get("unit", ""), declared.literals.get("kind", "estimate")
    return MetricFile(key="", results=[Result(metric=name, status=status, reason=reason, unit=unit, kind=kind)])


def method_name(record: RunRecord) -> str:
    """The class name of the run's method."""
    return record.specification["method"].rsplit(":", 1)[1]


def provided(record: RunRecord) -> set[str]:
    """What the run can answer: its method's literal, and what its data add."""
    target = record.specification["method"]
    declared = catalogue.component_class(record.run, target if ".py:" in target else method_name(record))
    dataset = dataset_named(f"run {record.run}", record.dataset, load_file("datasets.yml", Dataset))
    return provides(declared, dataset, record.specification["latent_dim"])


def open_trained(record: RunRecord, folder: Path, root: Path, references: Path, device: torch.device) -> Trained:
    """The trained method with its data, ready for metrics."""
    method, data, problem = load_trained(record, folder, root, device)
    judge_folder = classifier_folder(record.dataset, references)

    def classifier() -> Classifier:
        assert judge_folder is not None
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
        find_classifier=classifier if judge_folder is not None else None,
        root=root,
        seed=seed_of(record.run, record.seed, "evaluation/samples"),
    )
