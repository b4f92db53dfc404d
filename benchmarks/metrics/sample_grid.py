"""Writes grids of data, samples, and reconstructions where the method gives them (AVB figure 7, AS-VAE figures)."""

from typing import Any

import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.trained import Estimate, Trained
from methods.training.atomic_files import write_arrays

NEEDS = ("sample", "data")
UNIT = "images"
KIND = "exact"
BETTER = "neither"
NO_ERROR = "a number of images"
LIMITS = (0.0, None)
IMAGES = "samples, training and test images"
ARTEFACT = "sample_grid.npz"


def evaluate(trained: Trained, *, n: int = 64) -> Estimate:
    """Decoder means, not draws, as in the authors' figures."""
    if trained.data is None:
        raise NotRunError("a problem has no images")
    x = trained.test_x(n)
    arrays: dict[str, Any] = {
        "data": trained.data.train.batch(torch.arange(min(n, len(trained.data.train)))).x,
        "test": x,
    }
    with torch.no_grad():
        arrays["samples"] = trained.samples(n)
        if "reconstruct" in trained.provides:
            arrays["reconstructions"] = trained.method.reconstruct(x)
    found = {name: array.cpu().numpy() for name, array in arrays.items()}
    write_arrays(trained.folder / ARTEFACT, found)
    return Estimate(float(n), None, n, f"n={n}")
