"""How well a linear classifier tells two domains apart by a method's features, in per cent: 50 is not at all.

Logistic regression, fitted on half of the test images of both domains and scored on the other half: the number does not
depend on how good the method's own adversary is (Unifying section 3.1).
"""

from dataclasses import replace
from typing import Any

import numpy
import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators.scores import judged
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("classify", "data")
UNIT = "%"
KIND = "estimate"
BETTER = "lower"
BIAS = "downward: differences that no linear classifier finds count as none"
ERROR = "over test images"
VARIES = "images"
PER_IMAGE = "values"
IMAGES = "test images of both domains"
LIMITS = (0.0, 100.0)
STEP = 50.0
CONTROLS = ("pixels",)


def told_apart(source: numpy.ndarray, target: numpy.ndarray) -> numpy.ndarray:
    """Whether the domain of features [n, d] of either is told rightly, in the second half of each [n - n // 2]."""
    from sklearn.linear_model import LogisticRegression

    half = len(source) // 2
    fitted, scored = (numpy.concatenate([source[part], target[part]]) for part in (slice(half), slice(half, None)))
    mean, scale = fitted.mean(0), fitted.std(0) + 1e-12
    y = numpy.repeat([1, 0], half)
    model = LogisticRegression(max_iter=1000).fit((fitted - mean) / scale, y)
    right = model.predict((scored - mean) / scale) == numpy.repeat([1, 0], len(source) - half)
    return right.reshape(2, -1).mean(0)


def evaluate(trained: Trained, *, n: int = 4000) -> Estimate:
    """NotRunError for a dataset of one domain. The same example's images of both domains are in the same half.

    Control: the pixels themselves as features.
    """
    data, method = trained.data, trained.method
    if data is None or data.source_test_x is None:
        raise NotRunError(f"dataset {trained.dataset} has one domain")
    judge: Any = method.judge
    domains = data.source_test_x[:n], data.test_x[:n]
    right = 100 * told_apart(*(judged(judge, x)[0] for x in domains))
    pixels = 100 * told_apart(*(x.flatten(1).double().cpu().numpy() for x in domains))
    found = average(torch.from_numpy(right), f"{2 * len(right)} scored images")
    return replace(found, controls={"pixels": float(pixels.mean())})
