"""What a training is made of: its data, networks and seeds, each named."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.config import Dataset, dataset_named, load_file
from benchmarks.data import datasets
from benchmarks.data.fractions import part_of
from benchmarks.errors import SuiteError
from benchmarks.problems import problem_named
from methods.build import build_method
from methods.data import Images
from methods.files import content_sum
from methods.method import Method
from methods.networks import lay_out


def seed_of(dataset: str, seed: int, purpose: str) -> int:
    """One root seed for each (dataset, seed), split by purpose: init, data, noise, evaluation.

    Runs on the same dataset share them, so that a seed compares methods on what they need not differ in: networks of
    equal roles and sizes begin with equal weights, and runs of one batch size see the same minibatches.
    """
    digest = hashlib.sha256(f"{dataset}/{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


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


def data_key(images: Images) -> str:
    """A short hash of the training images: of how many there are, and of 1,000 of them and their labels."""
    chosen = torch.linspace(0, len(images) - 1, min(len(images), 1000), dtype=torch.float64).long()
    tensors = [images.pixels] if images.labels is None else [images.pixels, images.labels]
    return content_sum((str(tuple(t.shape)), t[chosen].cpu().numpy().tobytes()) for t in tensors)[:16]


def with_options(specification: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The specification with some of the method's options replaced."""
    return {**specification, "options": {**specification["options"], **options}}


def build(specification: dict[str, Any], images: Images, problem: Any, seed: int) -> Method:
    """The run's method with its initial weights, each part's under a seed of its own: see methods.build."""

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
    from benchmarks.jobs.trained import batch_of

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
