"""Share of the target's test images that a classifier of the source gets right once they are translated, in per cent.

The classifier never saw the target domain; the detail is what it makes of the images as they are.
"""

from dataclasses import replace
from typing import Any

import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.scores import judged
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("translate", "data", "classifier")
UNIT = "%"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward by the classifier's own errors, which cap it"
ERROR = "over test images"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (0.0, 100.0)
STEP = 100.0
CONTROLS = ("chance",)
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 256) -> Estimate:
    """NotRunError for a dataset without labels. Control: the most frequent class."""
    if trained.data is None or trained.data.test_y is None:
        raise NotRunError(f"dataset {trained.dataset} has no labels")
    classifier, x, y = trained.classifier(), trained.test_x(n), trained.data.test_y[:n].cpu()
    translate: Any = trained.method.translate
    with torch.no_grad():
        translated = torch.cat([translate(piece, "source") for piece in x.split(batch)])
    right, as_they_are = (
        100.0 * (torch.from_numpy(judged(classifier.judge, images)[1].argmax(1)) == y) for images in (translated, x)
    )
    details: dict[str, float | str] = {"without translation": float(as_they_are.mean()), **classifier.record}
    found = average(right, f"our classifier, n={len(right)}")
    return replace(found, details=details, controls=controls.chance(y))
