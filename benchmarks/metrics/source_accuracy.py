"""Share of the source domain's test images that a classifier of two domains gets right, in per cent.

Beside `accuracy`, which is of the target domain. Test images of both domains are the same examples.
"""

from dataclasses import replace
from typing import Any

import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.scores import judged
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
    """NotRunError for a dataset of one domain. Control: the most frequent class."""
    data, method = trained.data, trained.method
    if data is None or data.source_test_x is None or data.test_y is None:
        raise NotRunError(f"dataset {trained.dataset} has one domain")
    judge: Any = method.judge
    p, y = judged(judge, data.source_test_x[:n])[1], data.test_y[:n].cpu()
    right = 100.0 * (torch.from_numpy(p.argmax(1)) == y)
    return replace(average(right, f"source, n={len(right)}"), controls=controls.chance(y))
