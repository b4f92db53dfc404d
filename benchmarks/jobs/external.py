"""Results brought from elsewhere: images or weights become a run's record, measured by the metrics of a table."""

import importlib
import inspect
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.config import declarations, user_runs
from benchmarks.config.models import Run, Table, TrainOptions
from benchmarks.data.image_files import Decoder, content, opened, range_fault
from benchmarks.errors import SuiteError, unknown
from benchmarks.hardware import devices, provenance
from benchmarks.jobs import evaluate, materials, training
from benchmarks.plan import user_tables
from benchmarks.plan.suite import Suite
from benchmarks.store import metric_files
from benchmarks.store.records import write
from methods.training.atomic_files import file_sum
from methods.training.checkpoint import read_tensors, write_tensors

KEYS = ("samples", "x")
ROUNDING = 1e-6  # by which floats may leave 0 to 1: they are clipped
HALF = (torch.float16, torch.bfloat16)
ORDER_SEED = 0  # files come sorted, by class perhaps: metrics take the first n of a fixed random order


def images_of(source: Path, shape: tuple[int, ...]) -> numpy.ndarray:
    """Images [n, *shape], uint8 or float32 in 0 to 1, in a fixed random order; SuiteError says what is wrong.

    True is 1, three equal channels are one where the images are grey, and rounding beyond 0 to 1 is cut off.
    """
    if not source.exists():
        raise SuiteError(f"{source}: no such file or folder")
    found = from_npz(source) if source.suffix == ".npz" else from_files(source)
    found = in_range(source, as_shape(source, found, shape))
    found = found if found.shape[1:] == shape else grey(source, found)
    return found[numpy.random.default_rng(ORDER_SEED).permutation(len(found))]


def in_range(source: Path, found: numpy.ndarray) -> numpy.ndarray:
    """Images as uint8 from 0 to 255 or float32 from 0 to 1; SuiteError if their values are of another range."""
    if found.dtype not in (numpy.uint8, numpy.bool_) and not numpy.issubdtype(found.dtype, numpy.floating):
        raise SuiteError(f"{source}: type {found.dtype}; expected uint8, or floats from 0 to 1, or bool; convert them")
    if not found.size:
        return found
    low, high = float(found.min()), float(found.max())
    if found.dtype == numpy.uint8:
        if fault := range_fault(int(low), int(high)):
            raise SuiteError(f"{source}: {fault}, or store floats from 0 to 1 (of images that are so dark, x / 255)")
        white = 255
    else:
        bad = found.size - int(numpy.isfinite(found).sum())
        if bad:
            raise SuiteError(f"{source}: {bad} of {found.size} values are NaN or infinite; expected floats from 0 to 1")
        if not -ROUNDING <= low <= high <= 1 + ROUNDING:
            raise SuiteError(
                f"{source}: values from {low:.7g} to {high:.7g}; expected floats from 0 to 1, or uint8: map black to 0 "
                f"and white to 1, as (x + 1) / 2 does for values from -1 to 1, and x / 255 for values from 0 to 255"
            )
        if 0 < high < 1.001 / 255:
            raise SuiteError(
                f"{source}: floats from {low:.3g} to {high:.3g}, at most one level of 255; expected 0 (black) to 1 "
                f"(white): divide by 255 once only"
            )
        found, white = found.astype(numpy.float32).clip(0, 1), 1
    if 0 < high < white / 2:
        print(f"{source}: the greatest value is {high:.3g}; {white} is read as white", file=sys.stderr)
    return found


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
    """The array as [n, channels, height, width], channels first or last or left out if there is one.

    Three channels where one is wanted stay three: see `grey`.
    """
    channels, *sides = shape
    accepted = [shape, (*sides, channels), *([tuple(sides)] if channels == 1 else [])]
    threefold = [(3, *sides), (*sides, 3)] if channels == 1 else []
    if found.shape[1:] not in [*accepted, *threefold] or not found.ndim:
        expected = " or ".join(str(("n", *s)).replace("'", "") for s in accepted)
        raise SuiteError(f"{source}: shape {found.shape}; the table's images need {expected}")
    if found.shape[1:] in (shape, *threefold[:1]):
        return found
    return numpy.moveaxis(found if found.ndim > len(shape) else found[..., None], -1, 1)


def grey(source: Path, found: numpy.ndarray) -> numpy.ndarray:
    """[n, 1, height, width] of [n, 3, height, width] whose channels are equal; SuiteError if they are not."""
    coloured = int((found != found[:, :1]).any((1, 2, 3)).sum())
    if coloured:
        raise SuiteError(
            f"{source}: {coloured} of {len(found)} images are in colour; the table's are grey: convert them"
        )
    return found[:, :1]


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
    rounded = {str(t.dtype).removeprefix("torch.") for t in found.values() if t.dtype in HALF}
    if rounded:
        print(f"{source}: weights rounded to {', '.join(rounded)}, computed with in float32", file=sys.stderr)
    return {name: in_type(f"{source}: {name}", found[name], like.dtype) for name, like in expected.items()}


def in_type(where: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A tensor of weights in the network's type; SuiteError if its own holds other numbers, or one is not finite."""
    accepted = (dtype,) if not dtype.is_floating_point else (torch.float32, torch.float64, *HALF)
    if tensor.dtype not in accepted:
        found, *expected = (str(kind).removeprefix("torch.") for kind in (tensor.dtype, *accepted))
        raise SuiteError(f"{where} is {found}; expected {' or '.join(expected)}: store it as it was trained")
    tensor = tensor.to(dtype)
    bad = int((~tensor.isfinite()).sum())
    if bad:
        raise SuiteError(f"{where} holds {bad} numbers that are NaN or infinite; expected finite ones: train it anew")
    return tensor


def needed(suite: Suite, metrics: dict[str, dict[str, Any]]) -> tuple[int, str]:
    """How many samples the most demanding metric takes, and its name."""

    def count(metric: str) -> int:
        module, function = declarations.metrics()[metric].target.split(":")
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
    user_runs.checked_name("--as", name, suite.runs)
    if table not in suite.tables:
        raise unknown("--table", "table", table, suite.tables)
    device = devices.choose_device(device_name)
    run, images = as_run(suite, table, source, like, dataset)
    suite.runs[name] = run
    copy = user_tables.with_runs(suite, table, [name], note=f"brought: {source.name}")
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
    record = training.blank_record(suite.specification(name), 0, suite.name, {}, root).model_copy(
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
