"""Which metric files of a run are current and which cannot be: evaluation's bookkeeping, free of torch."""

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.config import declarations
from benchmarks.config.capabilities import answers, named, provides
from benchmarks.config.declarations import Declared
from benchmarks.config.models import Dataset, dataset_named, load_file
from benchmarks.errors import SuiteError
from benchmarks.store.records import Evaluation, MetricFile, Result, RunRecord, Status, canonical, read, write
from methods.training.atomic_files import DamagedError, file_sum, read_arrays, read_frame

if TYPE_CHECKING:
    import numpy


@cache
def known_datasets() -> dict[str, Dataset]:
    """benchmarks/datasets.yml, read once."""
    return load_file("datasets.yml", Dataset)


def missing_capabilities(declared: Declared, provides: set[str]) -> list[str]:
    """What the metric needs and the run does not provide."""
    return sorted(set(declared.literals.get("needs", ())) - provides)


def classifier_folder(dataset: str, references: Path) -> Path | None:
    """Where the dataset's evaluation classifier was trained, if it has one."""
    name = dataset_named("run", dataset, known_datasets()).classifier
    return references.parent / name / "seed0" if name else None


def identity_of(path: Path) -> str:
    """What determined the weights of a training, by its record; empty where there is no whole one."""
    try:
        return read(path, RunRecord).identity
    except (SuiteError, DamagedError):
        return ""


def key_of(record: RunRecord, declared: Declared, entry: dict[str, Any], references: Path) -> str:
    """A metric file is current while its training, weights, options, code, reference and classifier are the same."""
    basis, judge = [references / f"{record.dataset}.npz"], ""
    folder = classifier_folder(record.dataset, references)
    if folder is not None and "classifier" in declared.literals.get("needs", ()):
        basis.append(folder / "weights.safetensors")
        judge = identity_of(folder / "run.json")  # its code judges, too, whatever its weights
    parts = [
        record.identity,
        judge,
        record.weights_sha256,
        canonical(entry),
        *(file_sum(path) for path in basis if path.exists()),
    ]
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def method_name(record: RunRecord) -> str:
    """The class name of the run's method."""
    return record.specification["method"].rsplit(":", 1)[1]


def provided(record: RunRecord) -> set[str]:
    """What the run can answer: its method's literal, and what its data add."""
    specification, where = record.specification, f"run {record.run}"
    found = answers(where, named(where, specification["method"]), specification["components"])
    dataset = dataset_named(where, record.dataset, known_datasets())
    return provides(found, dataset, specification["latent_dim"])


def refused(name: str, declared: Declared, status: Status, reason: str) -> MetricFile:
    """A metric file that says why there is no number."""
    unit, kind = declared.literals.get("unit", ""), declared.literals.get("kind", "estimate")
    return MetricFile(key="", results=[Result(metric=name, status=status, reason=reason, unit=unit, kind=kind)])


def current(
    name: str, entry: dict[str, Any], record: RunRecord, folder: Path, references: Path, settled: bool = True
) -> tuple[str, MetricFile | None]:
    """(key that the metric's file must have, the file if it has it and, if `settled`, need not be computed again)."""
    declared, path = declarations.metrics()[name], folder / f"{name}.json"
    key = key_of(record, declared, entry, references)
    wrong = faults(folder, name)
    for file, what in wrong.items():
        if file.exists():
            print(f"{what}: computing it again", file=sys.stderr)
    if wrong:
        return key, None
    found = read(path, MetricFile)
    if found.key != key:
        return key, None
    done = found.results[-1].status == "ok" or missing_capabilities(declared, provided(record))
    return key, found if done or not settled else None


def images_file(folder: Path, metric: str) -> Path:
    """Where the per-image values of a metric are, of the final weights: `<metric>.images.npz`."""
    return folder / f"{metric}.images.npz"


def per_image_values(folder: Path, metric: str) -> "numpy.ndarray | None":
    """The values [n] of a metric at each test image in their order, float32; None where it has none, or they are lost.

    Their mean is the metric's value where its PER_IMAGE is `values`, and the value's square where it is `squares`.
    """
    if "per_image" not in declarations.metrics()[metric].literals or faults(folder, metric):
        return None
    if read(folder / f"{metric}.json", MetricFile).results[-1].status != "ok":
        return None
    return read_arrays(images_file(folder, metric))["values"]


def faults(folder: Path, name: str) -> dict[Path, str]:
    """File -> what is wrong with it, of a metric's record, of the arrays that it describes and per-image values."""
    path, literals = folder / f"{name}.json", declarations.metrics()[name].literals
    try:
        final = read(path, MetricFile).results[-1]
    except SuiteError:
        return {path: f"{path}: missing"}
    except DamagedError as error:
        return {path: error.what}
    files = [folder / literals["artefact"]] if "artefact" in literals else []
    files += [images_file(folder, name)] if "per_image" in literals else []
    for file in files if final.status == "ok" else ():
        try:
            read_arrays(file)
        except FileNotFoundError:
            return {file: f"{file}: missing"}
        except DamagedError as error:
            return {file: error.what}
    return {}


def training_faults(record: RunRecord, folder: Path, contents: bool = False) -> dict[Path, str]:
    """File -> what is wrong with it, of a finished training's history and snapshots (read only with `contents`)."""
    if record.status != "ok":
        return {}
    steps = [step for step in record.specification["train"].get("snapshots", ()) if step <= record.steps]
    read_as: dict[Path, Callable[[Path], Any]] = {folder / "history.parquet": read_frame}
    snapshots = [folder / "snapshots" / f"{step:08d}.safetensors" for step in steps]
    if contents:
        from methods.training.checkpoint import read_tensors

        read_as |= dict.fromkeys(snapshots, read_tensors)
    found = {path: f"{path}: missing" for path in (*read_as, *snapshots) if not path.exists()}
    for path in read_as.keys() - found.keys():
        try:
            read_as[path](path)
        except DamagedError as error:
            found[path] = error.what
    return found


def finish(record: RunRecord, folder: Path, statuses: dict[str, Status]) -> Evaluation:
    """Write `metrics.json`: every metric has its file."""
    evaluation = Evaluation(run=record.run, seed=record.seed, metrics=statuses)
    write(folder / "metrics.json", evaluation)
    return evaluation


def finish_if_current(metrics: dict[str, dict[str, Any]], folder: Path, references: Path) -> Evaluation | None:
    """`finish` where nothing is left to compute, else None."""
    record = read(folder / "run.json", RunRecord)
    if record.status != "ok":
        return None
    found = {name: current(name, entry, record, folder, references)[1] for name, entry in metrics.items()}
    if None in found.values():
        return None
    return finish(record, folder, {name: file.results[-1].status for name, file in found.items() if file})
