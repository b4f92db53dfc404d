"""Rank correlation over test images of an adversary's weights and of minus the bound on the image's likelihood.

An image with a large weight is one that the discriminator knows for real: hard to generate, says Unifying section 4.2,
and there the training is to be. 1: the harder, the heavier; 0: the weights do not depend on it; -1: the easier.
"""

from typing import Any

import numpy
import torch
from scipy.stats import spearmanr

from benchmarks.errors import NotRunError
from benchmarks.metrics.trained import Estimate, Trained, batch_of, mean_over_draws

NEEDS = ("log_weight", "data")
UNIT = "rank correlation"
KIND = "estimate"
BETTER = "neither"
BIAS = "towards 0 by the noise of few draws"
ERROR = "over test images"
VARIES = "images"
IMAGES = "test images"
LIMITS = (-1.0, 1.0)
CONTROLS = ("chance",)


def rank_correlation(one: numpy.ndarray, other: numpy.ndarray) -> float:
    """Spearman's; 0 where one of them is the same for all."""
    if not one.std() or not other.std():
        return 0.0
    found: Any = spearmanr(one, other)
    return float(found.statistic)


def evaluate(trained: Trained, *, n: int = 2000, draws: int = 16, batch: int = 512) -> Estimate:
    """NotRunError for a method whose images have no weights of their own. Control: equal weights."""
    method: Any = trained.method
    if not callable(getattr(method, "weights", None)):
        raise NotRunError(f"{type(method).__name__} gives images no weights")
    x = trained.test_x(n)
    bound = mean_over_draws(lambda x: method.log_weight(batch_of(x)), x, draws, batch)[0]
    with torch.no_grad():
        weights = torch.cat([method.weights(part) for part in x.split(batch)])
    found = rank_correlation(weights.cpu().numpy(), -bound.cpu().numpy())
    error = (1 - found**2) * ((1 + found**2 / 2) / (len(x) - 3)) ** 0.5  # Bonett & Wright 2000
    details: dict[str, float | str] = {"mean weight": float(weights.mean())}
    return Estimate(found, error, len(x), f"n={len(x)}, {draws} draws", details, controls={"chance": 0.0})
