"""Kernel distance of the dataset's own classifier's features of samples and of training images; lower is better.

Another number than KID, which is Inception's: the two never share a column.
"""

from dataclasses import replace

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.mmd import kernel_distance
from benchmarks.metrics.scores import real_features, sample_judged

NEEDS = ("sample", "data", "classifier")
UNIT = "squared distance"
KIND = "estimate"
BETTER = "lower"
BIAS = "none; near zero it can be negative"
ERROR = "over samples and training images, and over the choice of subsets"
IMAGES = "samples against training images"


def evaluate(trained: Trained, *, n: int = 10_000, subsets: int = 100, size: int = 1000) -> Estimate:
    """n samples against all training images, 100 subsets of 1000."""
    classifier = trained.classifier()
    judge, key = classifier.judge, f"classifier-{classifier.key}"
    real, fake = real_features(trained, judge, key), sample_judged(trained, judge, key, n)[0]
    return replace(kernel_distance(fake, real, subsets, size, "our classifier"), details=dict(classifier.record))
