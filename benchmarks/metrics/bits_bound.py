"""Upper bound on bits per sub-pixel of test images (AS-VAE section 5.1): nll_bound in other units."""

import math
from dataclasses import replace

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.nll_bound import per_image
from benchmarks.metrics.trained import WHOLE, Estimate, Trained, average

NEEDS = ("log_weight", "decoder", "encode", "data")
UNIT = "bits/dim"
KIND = "upper bound"
BETTER = "lower"
BIAS = "upward by KL(q(z|x) || p(z|x))"
ERROR = "over test images and draws"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (0.0, None)
CONTROLS = ("uniform levels", "independent pixels")
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log P(v)"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 10, batch: int = 512, whole: int = WHOLE) -> Estimate:
    """The masses are of bins: no 8 is added. Control: pixels that are independent; of 8-bit levels, all as likely."""
    scale = trained.test_x(1)[0].numel() * math.log(2)
    values, noise = per_image(trained, n, draws, batch, whole)
    found = average(values / scale, f"n={len(values)}, z ~ q", noise / scale, trained.population)
    return replace(found, controls=controls.of_mass(trained, trained.test_x(n), -1 / scale))
