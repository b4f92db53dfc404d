"""Share of test images that a classifier gets right, in per cent; beside it its inception score of them."""

from typing import Any

from benchmarks.errors import NotRunError
from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.scores import inception_scores, judged

NEEDS = ("classify", "data")
UNIT = "%"
KIND = "estimate"
BETTER = "higher"
BIAS = "none"
ERROR = "over test images"
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000) -> Estimate:
    """NotRunError for a dataset without labels."""
    x = trained.test_x(n)
    if trained.data is None or trained.data.test_y is None:
        raise NotRunError(f"dataset {trained.dataset} has no labels")
    method: Any = trained.method
    p = judged(method.judge, x)[1]
    right = 100.0 * (p.argmax(1) == trained.data.test_y[:n].cpu().numpy())
    details: dict[str, float | str] = {"inception score of test images": float(inception_scores(p, 1)[0])}
    return Estimate(float(right.mean()), float(right.std() / len(right) ** 0.5), len(right), f"n={len(right)}", details)
