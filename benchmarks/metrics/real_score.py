"""Inception score that a classifier gives real test images: what its scores of samples are to be read against."""

from typing import Any

from benchmarks.metrics.estimators.scores import judged, score_estimate
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("classify", "data")
UNIT = "score, at most the number of classes"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward for few images, which estimate the marginal"
ERROR = "over test images, a jackknife"
VARIES = "images"
LIMITS = (1.0, None)
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000) -> Estimate:
    """In one split: the paper names neither their number nor that of images."""
    method: Any = trained.method
    return score_estimate(judged(method.judge, trained.test_x(n))[1], 1, "")
