"""-log P(v) of test images under an autoregressive model, nats, exactly."""

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("log_prob", "data")
UNIT = "nats"
KIND = "exact"
BETTER = "lower"
BIAS = "none"
ERROR = "over test images"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (0.0, None)
CONTROLS = ("independent pixels", "uniform levels")
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log P(v)"


def per_image(trained: Trained, n: int, batch: int) -> Tensor:
    """-log P(v) [n], nats."""
    with torch.no_grad():
        return torch.cat([-trained.method.log_prob(x) for x in trained.test_x(n).split(batch)])  # type: ignore[operator]


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 64) -> Estimate:
    """Nats an image. Control: pixels that are independent; of 8-bit levels, all as likely."""
    values = per_image(trained, n, batch)
    found = average(values, f"n={len(values)}", population=trained.population)
    return replace(found, controls=controls.of_mass(trained, trained.test_x(n), -1.0))
