"""Results brought from elsewhere: images or weights become a run's record, measured by the metrics of a table."""

import importlib
import inspect
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks import catalogue
from benchmarks.config import Run, Table, TrainOptions
from benchmarks.data.image_files import Decoder, content, opened
from benchmarks.errors import SuiteError, unknown
from benchmarks.jobs import evaluate, execute, materials, metric_files
from benchmarks.machine import devices, provenance
from benchmarks.own import own_runs
from benchmarks.records import write
from benchmarks.suite import Suite
from methods.checkpoint import read_tensors, write_tensors
from methods.files import file_sum

KEYS = ("samples", "x")
ORDER_SEED = 0  # files come sorted, by class perhaps: metrics take the first n of a fixed random order


def images_of(source: Path, shape: tuple[int, ...]) -> numpy.ndarray:
    """Images [n, *shape], uint8 or float32 in 0 to 1, in a fixed random order; SuiteError says what is wrong."""
    if not source.exists():
        raise SuiteError(f"{source}: no such file or folder")
    found = from_npz(source) if source.suffix == ".npz" else from_files(source)
    found = as_shape(source, found, shape)
    if found.dtype != numpy.uint8:
        if not numpy.issubdtype(found.dtype, numpy.floating):
            raise SuiteError(f"{source}: type {found.dtype}; expected uint8, or floats from 0 to 1")
        low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 0.0)
        if not 0 <= low <= high <= 1:  # NaN is neither
            raise SuiteError(f"{source}: values from {low:g} to {high:g}; expected floats from 0 to 1, or uint8")
        found = found.astype(numpy.float32)
    return found[numpy.random.default_rng(ORDER_SEED).permutation(len(found))]


def from_npz(source: Path) -> numpy.ndarray:
    """The array `samples` or `x`; nothing is unpickled."""
    try:
        with numpy.load(source, allow_pickle=False) as arrays:
            key = next((key for key in KEYS if key in arrays), None)
            if key is None:
                raise SuiteError(f"{source}: no array {' or '.join(KEYS)}; it has {', '.join(arrays) or 'none'}")
            return arrays[key]
    except (OSError, ValueError, EOFError, AttributeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise SuiteError(f"{source}: cannot be read as npz ({str(error).splitlines()[0]}); write it anew") from None


def from_files(source: Path) -> numpy.ndarray:
    """The image files of a folder or zip, which is read in place and never extracted."""
    with opened(source) as (names, read):
        if not names:
            raise SuiteError(f"{source}: no images in it; expected .png, .jpg or another image format")
        decode = Decoder(source, lambda image: image)
        return numpy.concatenate([decode(name, content(source, name, read)) for name in names])


def as_shape(source: Path, found: numpy.ndarray, shape: tuple[int, ...]) -> numpy.ndarray:
    """The array as [n, channels, height, width], channels first or last or left out if there is one."""
    channels, *sides = shape
    accepted = [shape, (*sides, channels), *([tuple(sides)] if channels == 1 else [])]
    if found.shape[1:] not in accepted or not found.ndim:
        expected = " or ".join(str(("n", *s)).replace("'", "") for s in accepted)
        raise SuiteError(f"{source}: shape {found.shape}; the table's images need {expected}")
    if found.shape[1:] == shape:
        return found
    return found.reshape(len(found), *sides, channels).transpose(0, 3, 1, 2)


def weights_of(source: Path, suite: Suite, run: str, root: Path, device: torch.device) -> dict[str, torch.Tensor]:
    """The tensors of the file, if they fit the run; SuiteError names the first that does not."""
    try:
        found, _ = read_tensors(source)
    except ValueError:
        raise SuiteError(f"{source}: not a readable safetensors file; write it anew") from None
    specification = suite.specification(run)
    _, problem, images = materials.open_data(specification["dataset"], root, device)
    expected = materials.build(specification, images, problem, 0).state_dict()
    for name in [*expected, *found]:
        sizes = [tuple(t[name].shape) if name in t else "absent" for t in (found, expected)]
        if sizes[0] != sizes[1]:
            raise SuiteError(f"{source}: {name} is {sizes[0]}; in run {run} of profile {suite.name} it is {sizes[1]}")
        if not found[name].isfinite().all():
            raise SuiteError(f"{source}: {name} holds numbers that are not finite")
    return found


def needed(suite: Suite, metrics: dict[str, dict[str, Any]]) -> tuple[int, str]:
    """How many samples the most demanding metric takes, and its name."""

    def count(metric: str) -> int:
        module, function = catalogue.metrics()[metric].target.split(":")
        default = inspect.signature(getattr(importlib.import_module(module), function)).parameters.get("n")
        return int(metrics[metric]["options"].get("n", default.default if default else 0))

    return max(((count(metric), metric) for metric in metrics), default=(0, ""))


def dataset_of(suite: Suite, table: Table, chosen: str | None) -> str:
    """The dataset of the table's runs; SuiteError if there are several and none is chosen."""
    names = sorted({suite.dataset_of(run)[0] for _, _, run, _ in suite.cells(table)})
    if chosen is not None and chosen not in names:
        raise unknown("--dataset", "dataset of the table", chosen, names)
    if chosen is None and len(names) > 1:
        raise SuiteError(f"the table is about {', '.join(names)}; say which with --dataset")
    return chosen or names[0]


def as_run(suite: Suite, table: str, source: Path, like: str | None, dataset: str | None) -> tuple[Run, Any]:
    """What was brought as a run without a training, and its images (or None for weights)."""
    if source.suffix == ".safetensors":
        if like is None:
            raise SuiteError(f"{source}: say with --run which run's networks these weights are of")
        base = suite.run(like)
        untrained = {name: budget.model_copy(update={"train": {}}) for name, budget in base.profiles.items()}
        return base.model_copy(update={"profiles": untrained, "note": "", "deviations": []}), None
    if like is not None:
        raise SuiteError(f"--run is for weights; {source} is images")
    name = dataset_of(suite, suite.tables[table], dataset)
    definition = suite.datasets[name]
    if definition.kind != "images":
        raise SuiteError(f"--table {table} is about {name}, which has no images; bring weights (.safetensors)")
    images = images_of(source, definition.x_shape)
    levels = "levels" if definition.pixels == "levels" else "shares"
    stored = levels if images.dtype == numpy.uint8 else "floats"
    options = {"n": len(images), "shape": list(images.shape[1:]), "stored": stored}
    train = TrainOptions(steps=1, batch_size=1, learning_rate=1.0)
    return Run(method="Samples", dataset=name, latent_dim=1, components={}, options=options, train=train), images


def bring(
    suite: Suite,
    source: Path,
    name: str,
    table: str | None,
    *,
    like: str | None = None,
    dataset: str | None = None,
    root: Path,
    device_name: str = "auto",
) -> tuple[str, Path]:
    """Measure images or weights by the table's metrics: (name of the table's copy, folder of the record).

    The suite then consists of that copy. SuiteError, before anything is written, if what was brought does not fit.
    """
    own_runs.checked_name("--as", name, suite.runs)
    if table not in suite.tables:
        raise unknown("--table", "table", table, suite.tables)
    device = devices.choose_device(device_name)
    run, images = as_run(suite, table, source, like, dataset)
    suite.runs[name] = run
    copy = own_runs.with_runs(suite, table, [name], note=f"brought: {source.name}")
    suite.narrow({f"{table}-with-{name}": copy})
    if name not in suite.wanted:
        reasons = dict.fromkeys(row.note for row in copy.rows if "not run" in row.note)
        raise SuiteError(f"{source}: no metric of {table} can be measured of it: {'; '.join(reasons)}")
    metrics = suite.metric_options(name)
    if images is not None:
        n, metric = needed(suite, metrics)
        if len(images) < n:
            raise SuiteError(f"{source}: {len(images)} images; {metric} takes {n} in profile {suite.name}")
        tensors = {"images": torch.from_numpy(numpy.ascontiguousarray(images))}
    else:
        tensors = weights_of(source, suite, like or name, root, device)
    folder = Path("results") / suite.name / "own" / name
    write_tensors(folder / "weights.safetensors", tensors, {"source": source.name})
    record = execute.blank_record(suite.specification(name), 0, suite.name, "", root).model_copy(
        update={
            "status": "ok",
            "reason": "",
            "device": str(device),
            "hardware": provenance.hardware(device),
            "weights_sha256": file_sum(folder / "weights.safetensors"),
        }
    )
    write(folder / "run.json", record)
    references = folder.parents[1] / "references"
    statuses = evaluate.compute(metrics, folder, root=root, references=references, device_name=device_name)
    metric_files.finish(record, folder, statuses)
    return f"{table}-with-{name}", folder
