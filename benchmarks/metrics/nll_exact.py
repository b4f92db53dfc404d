"""-log P(v) of test images under an autoregressive model, nats, exactly."""

import torch
from torch import Tensor

from benchmarks.jobs.trained import Estimate, Trained, average

NEEDS = ("log_prob", "data")
UNIT = "nats"
KIND = "exact"
BETTER = "lower"
BIAS = "none"
ERROR = "over test images"
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log P(v)"


def per_image(trained: Trained, n: int, batch: int) -> Tensor:
    """-log P(v) [n], nats."""
    with torch.no_grad():
        return torch.cat([-trained.method.log_prob(x) for x in trained.test_x(n).split(batch)])  # type: ignore[operator]


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 64) -> Estimate:
    """Nats an image."""
    values = per_image(trained, n, batch)
    return average(values, f"n={len(values)}", population=trained.population)
