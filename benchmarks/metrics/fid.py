"""Frechet distance of Inception's features of samples and of training images (Heusel et al. 2017); lower is better.

It falls about as 1/n towards its limit, so n is part of the protocol.
"""

from benchmarks.metrics.estimators.inception import CHECKSUM, inception_of
from benchmarks.metrics.estimators.scores import frechet_estimate
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data")
UNIT = "squared distance"
KIND = "estimate"
BETTER = "lower"
BIAS = "upward, about C/n: compare at equal n only"
ERROR = "over samples, to all training images"
VARIES = "samples"
LIMITS = (0.0, None)
CONTROLS = ("noise", "mean image")
IMAGES = "samples against training images"
FILES = ("pt_inception-2015-12-05-6726825d.pth",)


def evaluate(trained: Trained, *, n: int = 50_000, download: bool = True) -> Estimate:
    """n samples against all training images. Controls: shuffled training images, and copies of their mean."""
    judge = inception_of(trained, download)
    return frechet_estimate(trained, judge, f"inception-{CHECKSUM}", "Inception (pytorch-fid)", n)
