"""Inception score of samples by the dataset's own classifier (Unifying, section 4.1); higher is better."""

from dataclasses import replace

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.scores import sample_judged, score_estimate

NEEDS = ("sample", "data", "classifier")
UNIT = "score, at most the number of classes"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward for few images in a split, which estimate the marginal"
ERROR = "over samples, a jackknife within splits"
IMAGES = "samples"


def evaluate(trained: Trained, *, n: int = 50_000, splits: int = 10) -> Estimate:
    """Beside it: what the classifier is worth, and its score of real test images."""
    classifier = trained.classifier()
    p = sample_judged(trained, classifier.judge, f"classifier-{classifier.key}", n)[1]
    found = score_estimate(p, splits, "our classifier")
    return replace(found, details={**found.details, **classifier.record})
