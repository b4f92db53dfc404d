"""Kernel distance of the dataset's own classifier's features of samples and of training images; lower is better.

Another number than KID, which is Inception's: the two never share a column.
"""

from dataclasses import replace

from benchmarks.metrics.estimators.scores import kernel_estimate
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data", "classifier")
UNIT = "squared distance"
KIND = "estimate"
BETTER = "lower"
BIAS = "none; near zero it can be negative"
ERROR = "over samples and training images, and over the choice of subsets"
VARIES = "samples"
LIMITS = (None, None)  # unbiased, so that it can be below 0
CONTROLS = ("noise",)
IMAGES = "samples against training images"


def evaluate(trained: Trained, *, n: int = 10_000, subsets: int = 100, size: int = 1000) -> Estimate:
    """n samples against all training images, 100 subsets of 1000. Control: shuffled training images."""
    classifier = trained.classifier()
    judge, key = classifier.judge, f"classifier-{classifier.key}"
    found = kernel_estimate(trained, judge, key, "our classifier", n, subsets, size)
    return replace(found, details=dict(classifier.record))
