"""What a training is made of: its data, networks and seeds, each named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.config.models import Dataset, dataset_named, load_file
from benchmarks.data import datasets
from benchmarks.data.fractions import part_of
from benchmarks.errors import SuiteError
from benchmarks.posteriors import problem_named
from methods.method import Method
from methods.networks.bodies import lay_out
from methods.networks.build import build_method
from methods.training.minibatches import Images
from methods.training.seeds import seed_of


def open_data(name: str, root: Path, device: torch.device) -> tuple[datasets.Data | None, Any, Images]:
    """(data, problem, training images): one of the first two is None."""
    definition = dataset_named("run", name, load_file("datasets.yml", Dataset))
    if definition.kind == "problem":
        return None, problem_named(name).to(device), Images(torch.zeros(1, 0, dtype=torch.uint8, device=device))
    data = datasets.load(name, definition, root, device)
    return data, None, data.train


def training_part(specification: dict[str, Any], images: Images, seed: int) -> Images:
    """The images that the run may use; runs on the same data with the same seed get the same ones."""
    if "fraction" not in specification:
        return images
    number = seed_of(specification["dataset"], seed, "fraction")
    return part_of(images, specification["fraction"], specification["rest"], number)


def with_options(specification: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The specification with some of the method's options replaced."""
    return {**specification, "options": {**specification["options"], **options}}


def build(specification: dict[str, Any], images: Images, problem: Any, seed: int) -> Method:
    """The run's method with its initial weights, each part's under a seed of its own: see methods.networks.build."""

    def start(part: str) -> int:
        return seed_of(specification["dataset"], seed, f"init/{part}")

    method = build_method(specification, images.x_shape, problem, start).to(images.pixels.device)
    return lay_out(method)


def validation(specification: dict[str, Any], data: datasets.Data | None) -> Callable[[Method], float] | None:
    """Mean validation loss on held-out images, lower is better; None unless the run asks for it."""
    if not specification["train"]["validate_every"]:
        return None
    if data is None or not len(data.validation_x):
        raise SuiteError(f"run {specification['run']}: validate_every needs a dataset with a validation split")
    from benchmarks.metrics.trained import batch_of

    x, y = data.validation_x, data.validation_y
    labels = [None] * len(x) if y is None else y.split(1000)
    batches = [batch_of(*pair) for pair in zip(x.split(1000), labels, strict=False)]

    def score(method: Method) -> float:
        method.eval()
        with torch.no_grad():
            found = float(torch.stack([method.validation_loss(batch) for batch in batches]).mean())
        method.train()
        return found

    return score
