"""Bits per sub-pixel of test images under an autoregressive model: nll_exact in other units."""

import math
from dataclasses import replace

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.nll_exact import per_image
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("log_prob", "data")
UNIT = "bits/dim"
KIND = "exact"
BETTER = "lower"
BIAS = "none"
ERROR = "over test images"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (0.0, None)
CONTROLS = ("uniform levels", "independent pixels")
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log P(v)"


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 64) -> Estimate:
    """The masses are of bins: no 8 is added. Control: pixels that are independent; of 8-bit levels, all as likely."""
    scale = trained.test_x(1)[0].numel() * math.log(2)
    values = per_image(trained, n, batch) / scale
    found = average(values, f"n={len(values)}", population=trained.population)
    return replace(found, controls=controls.of_mass(trained, trained.test_x(n), -1 / scale))
