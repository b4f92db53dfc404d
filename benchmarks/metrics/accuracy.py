"""Share of test images that a classifier gets right, in per cent; beside it its inception score of them."""

from dataclasses import replace
from typing import Any

import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.scores import inception_scores, judged
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("classify", "data")
UNIT = "%"
KIND = "estimate"
BETTER = "higher"
BIAS = "none"
ERROR = "over test images"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (0.0, 100.0)
STEP = 100.0
CONTROLS = ("chance",)
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000) -> Estimate:
    """NotRunError for a dataset without labels. Control: the most frequent class."""
    x = trained.test_x(n)
    if trained.data is None or trained.data.test_y is None:
        raise NotRunError(f"dataset {trained.dataset} has no labels")
    method: Any = trained.method
    p, y = judged(method.judge, x)[1], trained.data.test_y[:n].cpu()
    right = 100.0 * (torch.from_numpy(p.argmax(1)) == y)
    details: dict[str, float | str] = {"inception score of test images": float(inception_scores(p, 1)[0])}
    return replace(average(right, f"n={len(right)}"), details=details, controls=controls.chance(y))
