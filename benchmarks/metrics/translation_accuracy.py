"""Share of the target's test images that a classifier of the source gets right once they are translated, in per cent.

The classifier never saw the target domain; the detail is what it makes of the images as they are.
"""

from typing import Any

import torch

from benchmarks.errors import NotRunError
from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.scores import judged

NEEDS = ("translate", "data", "classifier")
UNIT = "%"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward by the classifier's own errors, which cap it"
ERROR = "over test images"
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 256) -> Estimate:
    """NotRunError for a dataset without labels."""
    if trained.data is None or trained.data.test_y is None:
        raise NotRunError(f"dataset {trained.dataset} has no labels")
    classifier, x, y = trained.classifier(), trained.test_x(n), trained.data.test_y[:n].cpu().numpy()
    translate: Any = trained.method.translate
    with torch.no_grad():
        translated = torch.cat([translate(piece, "source") for piece in x.split(batch)])
    right = 100.0 * (judged(classifier.judge, translated)[1].argmax(1) == y)
    as_they_are = 100.0 * (judged(classifier.judge, x)[1].argmax(1) == y)
    details = {"without translation": float(as_they_are.mean()), **classifier.record}
    error = float(right.std() / len(right) ** 0.5)
    return Estimate(float(right.mean()), error, len(right), f"our classifier, n={len(right)}", details)
