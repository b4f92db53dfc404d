"""Frechet distance of the dataset's own classifier's features of samples and of training images; lower is better.

Another number than FID, which is Inception's: the two never share a column.
"""

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.scores import frechet_distance, moments, real_moments, sample_judged

NEEDS = ("sample", "data", "classifier")
UNIT = "squared distance"
KIND = "estimate"
BETTER = "lower"
BIAS = "upward, about C/n: compare at equal n only"


def evaluate(trained: Trained, *, n: int = 50_000) -> Estimate:
    """n samples against at most n training images."""
    classifier = trained.classifier()
    judge, key = classifier.judge, f"classifier-{classifier.key}"
    real, m = real_moments(trained, judge, key, n)
    value = frechet_distance(moments(sample_judged(trained, judge, key, n)[0]), real)
    return Estimate(value, None, n, f"our classifier, n={n}, {m} training images", classifier.record)
