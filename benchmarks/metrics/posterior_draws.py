"""Writes draws of q for the density figures; the value is how many."""

import numpy

from benchmarks.metrics.kl_to_posterior import draws_of
from benchmarks.metrics.trained import Estimate, Trained
from methods.training.atomic_files import write_arrays

NEEDS = ("encode", "problem")
UNIT = "draws"
KIND = "exact"
BETTER = "neither"
NO_ERROR = "a number of draws"
LIMITS = (0.0, None)
ARTEFACT = "posterior_draws.npz"


def evaluate(trained: Trained, *, n: int = 10_240) -> Estimate:
    """AVB figure 4 used 10,240 draws."""
    write_arrays(trained.folder / ARTEFACT, {"z": draws_of(trained, n).astype(numpy.float32)})
    return Estimate(float(n), None, n, f"n={n}")
