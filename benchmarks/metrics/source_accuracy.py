"""Share of the source domain's test images that a classifier of two domains gets right, in per cent.

Beside `accuracy`, which is of the target domain. Test images of both domains are the same examples.
"""

from typing import Any

from benchmarks.errors import NotRunError
from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.scores import judged

NEEDS = ("classify", "data")
UNIT = "%"
KIND = "estimate"
BETTER = "higher"
BIAS = "none"
ERROR = "over test images"
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000) -> Estimate:
    """NotRunError for a dataset of one domain."""
    data, method = trained.data, trained.method
    if data is None or data.source_test_x is None or data.test_y is None:
        raise NotRunError(f"dataset {trained.dataset} has one domain")
    judge: Any = method.judge
    p = judged(judge, data.source_test_x[:n])[1]
    right = 100.0 * (p.argmax(1) == data.test_y[:n].cpu().numpy())
    return Estimate(float(right.mean()), float(right.std() / len(right) ** 0.5), len(right), f"source, n={len(right)}")
