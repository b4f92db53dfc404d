"""Frechet distance of the dataset's own classifier's features of samples and of training images; lower is better.

Another number than FID, which is Inception's: the two never share a column.
"""

from dataclasses import replace

from benchmarks.metrics.estimators.scores import frechet_estimate
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data", "classifier")
UNIT = "squared distance"
KIND = "estimate"
BETTER = "lower"
BIAS = "upward, about C/n: compare at equal n only"
ERROR = "over samples, to all training images"
VARIES = "samples"
LIMITS = (0.0, None)
CONTROLS = ("noise", "mean image")
IMAGES = "samples against training images"


def evaluate(trained: Trained, *, n: int = 50_000) -> Estimate:
    """n samples against all training images. Controls: shuffled training images, and copies of their mean."""
    classifier = trained.classifier()
    found = frechet_estimate(trained, classifier.judge, f"classifier-{classifier.key}", "our classifier", n)
    return replace(found, details=classifier.record)
