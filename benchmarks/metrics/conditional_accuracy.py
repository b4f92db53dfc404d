"""Share of images generated for given classes that the dataset's classifier puts there (Unifying, table 2)."""

from typing import Any

import torch

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.scores import judged
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample_class", "data", "classifier")
UNIT = "share"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward by the classifier's own errors, which cap it"
ERROR = "over generated images"
VARIES = "samples"
LIMITS = (0.0, 1.0)
STEP = 1.0
CONTROLS = ("chance",)
IMAGES = "samples"


def evaluate(trained: Trained, *, n: int = 10_000) -> Estimate:
    """As many images of each class; beside it what the classifier is worth, which caps the score.

    Control: one class for all.
    """
    classifier, method = trained.classifier(), trained.method
    any_method: Any = method
    y = torch.arange(n, device=trained.device) % any_method.classes
    with torch.no_grad():
        x = torch.cat([any_method.sample_class(piece) for piece in y.split(1000)])
    right = judged(classifier.judge, x)[1].argmax(1) == y.cpu().numpy()
    error = float(right.std() / len(right) ** 0.5)
    chance = controls.chance(y, whole=1.0)
    return Estimate(float(right.mean()), error, n, f"our classifier, n={n}", dict(classifier.record), controls=chance)
