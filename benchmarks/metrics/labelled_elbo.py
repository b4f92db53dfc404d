"""Bound on log p(x|c) or log p(x, c) at the true classes c of test images (Unifying, table 3)."""

import math
from dataclasses import replace

import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators import controls
from benchmarks.metrics.trained import Estimate, Trained, average, batch_of

NEEDS = ("labelled_log_weight", "data")
UNIT = "nats"
KIND = "lower bound"
BETTER = "higher"
BIAS = "downward by the KL of q to the posterior"
ERROR = "over test images and draws"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (None, None)
CONTROLS = ("independent pixels",)
IMAGES = "test images"
LIKELIHOOD = True


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512) -> Estimate:
    """Mean over test images and `draws` draws each; the protocol says of what it is a bound.

    Control: pixels that are independent, and of log p(x, c) classes that are as likely.
    """
    if trained.data is None or trained.data.test_y is None:
        raise NotRunError(f"dataset {trained.dataset} has no labels")
    x, y = trained.test_x(n), trained.data.test_y[:n]
    ask, bounded = trained.method.labelled_log_weight, trained.method.labelled_bound
    with torch.no_grad():
        values = [
            torch.stack([ask(batch_of(*piece)) for _ in range(draws)]).double()  # type: ignore[operator]
            for piece in zip(x.split(batch), y.split(batch), strict=True)
        ]
    found = torch.cat(values, 1)
    noise = found.std(0) / draws**0.5
    estimate = average(found.mean(0), f"{bounded}, n={len(x)}", noise, trained.population)
    joint = math.log(trained.method.classes) if bounded == "log p(x, c)" else 0.0  # type: ignore[arg-type]
    chance = {name: value - joint for name, value in controls.of_likelihood(trained, x).items()}
    return replace(estimate, controls=chance)
