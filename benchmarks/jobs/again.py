"""A finished training once more, in a folder of its own, and how the two differ."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.errors import SuiteError
from benchmarks.jobs import evaluate, training
from benchmarks.plan.staleness import changes
from benchmarks.store.records import MetricFile, RunRecord, read
from methods.training.atomic_files import file_sum
from methods.training.checkpoint import read_tensors


@dataclass(frozen=True)
class Comparison:
    """Whether the weights are bitwise equal, and lines that say by how much weights and metrics differ."""

    equal: bool
    lines: list[str]


def differing(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    """A line for each tensor of weights that differs: its greatest difference, beside its greatest value."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            lines.append(f"{name}: only {'before' if name in before else 'again'}")
        elif before[name].shape != after[name].shape:
            lines.append(f"{name}: shape {list(before[name].shape)} before, {list(after[name].shape)} again")
        elif before[name].dtype != after[name].dtype:
            lines.append(f"{name}: {before[name].dtype} before, {after[name].dtype} again")
        elif not before[name].equal(after[name]):
            one, other = before[name].double(), after[name].double()
            greatest, size = float((one - other).abs().max()), float(one.abs().max())
            lines.append(f"{name}: differs by {greatest:.3g} at most, its greatest value is {size:.3g}")
    return lines


def final_value(path: Path) -> tuple[float | None, float | None]:
    """(value, standard error) of a metric file's last result; None where there is none."""
    result = read(path, MetricFile).results[-1] if path.exists() else None
    return (result.value, result.standard_error) if result is not None else (None, None)


def run(
    specification: dict[str, Any],
    seed: int,
    profile: str,
    folder: Path,
    metrics: dict[str, dict[str, Any]],
    options: dict[str, Any],
) -> Comparison:
    """Train and, where the weights differ, evaluate in `folder`/again, which is deleted; `options` are `train`'s.

    A killed one continues. SuiteError where there is no finished training to compare with, or the new one fails.
    """
    before, scratch = read(folder / "run.json", RunRecord), folder / "again"
    if before.status != "ok":
        raise SuiteError(
            f"{folder / 'run.json'}: training {before.status}: {before.reason}; there is nothing to compare"
        )
    if file_sum(folder / "weights.safetensors") != before.weights_sha256:
        raise SuiteError(f"{folder / 'weights.safetensors'}: not the file that run.json describes; run snakemake first")
    if (scratch / training.FINISHED).exists():  # of a call that was killed after it
        shutil.rmtree(scratch)
    after = training.train(specification, seed, profile, scratch, **options)
    if after.status != "ok":
        shutil.rmtree(scratch)
        raise SuiteError(f"{before.run} seed {seed} again: {after.status}: {after.reason}")
    lines = [f"trained with other settings: {line}" for line in changes(before.specification, after.specification)]
    lines += [f"{what}: {a} before, {b} again" for what, a, b in origins(before, after) if a != b]
    weights = (read_tensors(place / "weights.safetensors")[0] for place in (folder, scratch))
    apart = differing(*weights)
    if apart:
        references = folder.parents[1] / "references"
        root, device = options["root"], options["device_name"]
        evaluate.compute(metrics, scratch, root=root, references=references, device_name=device)
        for metric in metrics:
            (old, error), (new, _) = (final_value(place / f"{metric}.json") for place in (folder, scratch))
            if old is not None and new is not None and old != new:
                beside = f", standard error {error:.3g}" if error else ""
                lines.append(f"{metric}: {old:.6g} before, {new:.6g} again (difference {new - old:.3g}{beside})")
    verdict = f"{len(apart)} tensors of the weights differ" if apart else "weights are bitwise equal"
    shutil.rmtree(scratch)
    return Comparison(not apart, [*lines, *apart, f"{before.run} seed {seed}: {verdict}"])


def origins(before: RunRecord, after: RunRecord) -> list[tuple[str, Any, Any]]:
    """(what, before, after) of all that weights may depend on beside the specification."""
    names = ("code", "data_sha256", "versions", "device", "hardware", "threads", "precision")
    return [(name, getattr(before, name), getattr(after, name)) for name in names]
