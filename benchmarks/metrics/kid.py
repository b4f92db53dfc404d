"""Kernel distance of Inception's features of samples and of training images (Binkowski et al. 2018); lower: better."""

from benchmarks.metrics.estimators.inception import CHECKSUM, inception_of
from benchmarks.metrics.estimators.scores import kernel_estimate
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data")
UNIT = "squared distance"
KIND = "estimate"
BETTER = "lower"
BIAS = "none; near zero it can be negative"
ERROR = "over samples and training images, and over the choice of subsets"
VARIES = "samples"
LIMITS = (None, None)  # unbiased, so that it can be below 0
CONTROLS = ("noise",)
IMAGES = "samples against training images"
FILES = ("pt_inception-2015-12-05-6726825d.pth",)


def evaluate(
    trained: Trained, *, n: int = 10_000, subsets: int = 100, size: int = 1000, download: bool = True
) -> Estimate:
    """n samples against all training images, 100 subsets of 1000. Control: shuffled training images."""
    judge, key = inception_of(trained, download), f"inception-{CHECKSUM}"
    return kernel_estimate(trained, judge, key, "Inception (pytorch-fid)", n, subsets, size)
