"""What a job may need, from the size of its run: limits for a scheduler, known without torch.

They must hold for the slowest and largest method, so that the usual job stays far below them; see docs/scaling.md.
A run has P numbers per image, U units (widths and channels of all its networks), batches of B and T steps.
"""

import math
from dataclasses import dataclass
from typing import Any

from benchmarks.config.models import Dataset

MIB = 2**20
BASE_MIB = 1500  # PyTorch with what the metrics import takes 540, and kernels of the first call some more
IMAGES = 60_000  # in float32; larger datasets are memory-mapped
BASE_MINUTES = 30  # start, data and metrics
STEP_SECONDS = 0.05  # several moves of small networks, on a busy core
UNIT_SECONDS = 5e-7  # for each number and unit of a batch, all moves of a step together
LONGEST_MINUTES = 1440  # what many partitions allow: the next attempt continues at the checkpoint
NOT_WIDTHS = ("batch_norm", "strides", "kernel", "kernels", "copies")


@dataclass(frozen=True)
class Limits:
    """What a scheduler is asked for: main memory and disk in MiB, runtime in minutes."""

    mem_mb: int
    disk_mb: int
    runtime: int


def units(component: Any) -> int:
    """Widths and channels of a component's networks, summed; each copy counts."""
    if isinstance(component, dict):
        inner = sum(units(value) for key, value in component.items() if key not in NOT_WIDTHS)
        return component.get("copies", 1) * inner
    if isinstance(component, list):
        return sum(units(value) for value in component)
    return component if isinstance(component, int) and not isinstance(component, bool) else 0


def limits(specification: dict[str, Any], dataset: Dataset) -> Limits:
    """Limits for training or evaluating the run of a resolved specification on its dataset.

    memory = base + images + 16 B U (P + U) for weights with Adam's state + 128 B for each number and unit of a batch
    time = base + T (STEP_SECONDS + UNIT_SECONDS B (P + U)), for each candidate of a search
    disk = 1 GiB + 12 B U (P + U) for the weights, five states and each snapshot
    """
    train = specification["train"]
    side = dataset.side or 64  # of images in a folder, whose shape is not known yet
    numbers = math.prod(dataset.x_shape) or (3 * side**2 if dataset.kind == "images" else 0)
    width = units(specification["components"]) + specification["latent_dim"]
    weights, batch = width * (numbers + width), train["batch_size"] * (numbers + width)
    candidates = math.prod(len(values) for values in specification.get("search", {}).values())
    seconds = candidates * train["steps"] * (STEP_SECONDS + UNIT_SECONDS * batch)
    return Limits(
        mem_mb=BASE_MIB + math.ceil((4 * IMAGES * numbers + 16 * weights + 128 * batch) / MIB),
        disk_mb=1024 + math.ceil(12 * weights * (5 + len(train["snapshots"])) / MIB),
        runtime=min(LONGEST_MINUTES, BASE_MINUTES + math.ceil(seconds / 60)),
    )
