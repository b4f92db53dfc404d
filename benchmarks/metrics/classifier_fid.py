"""Frechet distance of the dataset's own classifier's features of samples and of training images; lower is better.

Another number than FID, which is Inception's: the two never share a column.
"""

from benchmarks.metrics.scores import frechet_distance, judged, moments, real_moments
from benchmarks.trained import Estimate, Trained

NEEDS = ("sample", "data", "classifier")
UNIT = "squared distance"
KIND = "estimate"
BETTER = "lower"


def evaluate(trained: Trained, *, n: int = 50_000) -> Estimate:
    """n samples against at most n training images."""
    classifier = trained.classifier()
    real, m = real_moments(trained, classifier.judge, f"classifier-{classifier.key}", n)
    value = frechet_distance(moments(judged(classifier.judge, trained.samples(n))[0]), real)
    return Estimate(value, None, n, f"our classifier, n={n}, {m} training images", classifier.record)
