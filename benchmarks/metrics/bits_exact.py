"""Bits per sub-pixel of test images under an autoregressive model: nll_exact in other units."""

import math

from benchmarks.jobs.trained import Estimate, Trained, average
from benchmarks.metrics.nll_exact import per_image

NEEDS = ("log_prob", "data")
UNIT = "bits/dim"
KIND = "exact"
BETTER = "lower"
BIAS = "none"
ERROR = "over test images"
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log P(v)"


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 64) -> Estimate:
    """The masses are of bins: no 8 is added."""
    values = per_image(trained, n, batch) / (trained.test_x(1)[0].numel() * math.log(2))
    return average(values, f"n={len(values)}", population=trained.population)
