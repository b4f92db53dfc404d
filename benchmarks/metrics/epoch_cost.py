"""Seconds that one epoch of training takes at the measured rate (AS-VAE section 5.4: 4 hours against 44)."""

from benchmarks.errors import NotRunError
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("data",)
UNIT = "seconds an epoch"
KIND = "estimate"
BETTER = "lower"
BIAS = "upward on a busy machine"
NO_ERROR = "a time of one training"
LIMITS = (0.0, None)
IMAGES = "training images"


def evaluate(trained: Trained) -> Estimate:
    """Training images over images per second; a time, so not the same again."""
    if trained.data is None or not trained.images_per_second:
        raise NotRunError("the training's rate was not recorded")
    n = len(trained.data.train)
    return Estimate(n / trained.images_per_second, None, n, f"{n} images")
