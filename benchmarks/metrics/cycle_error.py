"""Mean absolute error of a pixel in [0, 1] after both cycles: source to target and back, target to source and back."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.errors import NotRunError
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("translate", "data")
UNIT = "pixels in [0, 1]"
KIND = "estimate"
BETTER = "lower"
BIAS = "none; but translators that change nothing have 0"
ERROR = "over test images"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (0.0, None)
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 256) -> Estimate:
    """Test images of both domains, half of the weight each. Translators that change nothing have 0.

    Hence the details: half of what one translation changes, and by how much the two domains differ, example by example
    (test images of both domains are the same examples).
    """
    if trained.data is None or trained.data.source_test_x is None:
        raise NotRunError(f"dataset {trained.dataset} has one domain")
    translate: Any = trained.method.translate
    target, source = trained.test_x(n), trained.data.source_test_x[:n]

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return (x - y).abs().flatten(1).mean(1).double()

    errors, changes = [], []
    with torch.no_grad():
        for x, there, back in ((source, "target", "source"), (target, "source", "target")):
            for piece in x.split(batch):
                translated = translate(piece, there)
                changes.append(distance(translated, piece))
                errors.append(distance(translate(translated, back), piece))
    found, k = torch.cat(errors), len(source)
    details: dict[str, float | str] = {
        "source, target, source": float(found[:k].mean()),
        "target, source, target": float(found[k:].mean()),
        "half of the change by translation": 0.5 * float(torch.cat(changes).mean()),
        "difference of the domains": float(distance(source, target).mean()),
    }
    means = (found[:k] + found[k:]) / 2  # one example, both cycles
    return replace(average(means, f"both cycles, n={k}"), details=details)
