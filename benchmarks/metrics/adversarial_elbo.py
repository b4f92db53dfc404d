"""The adversary's estimate of the ELBO, -E[T] + E[log p(x|z)] (AVB section 3). No bound: see table 2."""

from dataclasses import replace
from typing import Any

import torch

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.trained import WHOLE, Estimate, Trained, average, batch_of, checked

NEEDS = ("elbo_estimate", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "neither"
BIAS = "upward where the adversary is worse than optimal, and by the moments' pool of adaptive contrast: no bound"
ERROR = "over test images and draws; of a whole population of few images over draws alone"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (None, None)
CONTROLS = ("independent pixels",)
SKILL = "higher"
IMAGES = "test images"
LIKELIHOOD = True
PARTS = 16  # independent parts of the draws, from whose spread the error of an image's own value comes


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512, whole: int = WHOLE) -> Estimate:
    """Too high wherever the adversary is worse than optimal; the pool's share of that is among the details.

    Control: pixels that are independent.
    """
    method: Any = trained.method
    x = trained.test_x(n)
    wanted = max(draws, -(-whole // len(x)) if trained.population else 0)
    each = max(1, -(-wanted // PARTS))
    rows = max(1, batch // len(x))  # draws of all images at once
    sizes = [min(rows, each - k) for k in range(0, each, rows)]

    def part(piece: torch.Tensor) -> torch.Tensor:
        found = [method.elbo_estimate(batch_of(piece), draws=k).double() * k for k in sizes]
        return torch.stack(found).sum(0) / each

    with torch.no_grad():
        parts = torch.cat([torch.stack([part(piece) for _ in range(PARTS)]) for piece in x.split(batch)], 1)
    details: dict[str, float | str] = {}
    if hasattr(method, "pool_bias"):
        details["upward bias by the moments' pool"] = method.pool_bias(trained.latent_dim)
    noise = parts.std(0) / PARTS**0.5
    found = checked(average(parts.mean(0), f"n={len(x)}", noise, trained.population, **details), x)
    return replace(found, controls=controls.of_likelihood(trained, x))
