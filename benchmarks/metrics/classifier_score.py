"""Inception score of samples by the dataset's own classifier (Unifying, section 4.1); higher is better."""

from dataclasses import replace

from benchmarks.metrics.estimators.scores import sample_score
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data", "classifier")
UNIT = "score, at most the number of classes"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward for few images in a split, which estimate the marginal"
ERROR = "over samples, a jackknife within splits"
VARIES = "samples"
LIMITS = (1.0, None)
CONTROLS = ("noise",)
IMAGES = "samples"


def evaluate(trained: Trained, *, n: int = 50_000, splits: int = 10) -> Estimate:
    """Beside it: what the classifier is worth, and its score of real test images. Control: shuffled training images."""
    classifier = trained.classifier()
    key = f"classifier-{classifier.key}"
    found = sample_score(trained, classifier.judge, key, "our classifier", n, splits)
    return replace(found, details={**found.details, **classifier.record})
