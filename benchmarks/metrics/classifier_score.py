"""Inception score of samples by the dataset's own classifier (Unifying, section 4.1); higher is better."""

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.scores import inception_scores, sample_judged

NEEDS = ("sample", "data", "classifier")
UNIT = "score, at most the number of classes"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward for few images in a split, which estimate the marginal"


def evaluate(trained: Trained, *, n: int = 50_000, splits: int = 10) -> Estimate:
    """Beside it: what the classifier is worth, and its score of real test images."""
    classifier = trained.classifier()
    p = sample_judged(trained, classifier.judge, f"classifier-{classifier.key}", n)[1]
    found = inception_scores(p, splits)
    spread = float(found.std())
    details: dict[str, float | str] = {"sd over splits": spread, **classifier.record}
    return Estimate(float(found.mean()), spread / splits**0.5, n, f"our classifier, n={n}, splits={splits}", details)
