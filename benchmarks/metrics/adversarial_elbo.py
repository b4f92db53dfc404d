"""The adversary's estimate of the ELBO, -E[T] + E[log p(x|z)] (AVB section 3). No bound: see table 2."""

import torch

from benchmarks.trained import Estimate, Trained, average, batch_of

NEEDS = ("elbo_estimate", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "neither"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512) -> Estimate:
    """Too high wherever the adversary is worse than optimal."""
    with torch.no_grad():
        rows = [
            torch.stack([trained.method.elbo_estimate(batch_of(x)) for _ in range(draws)]).mean(0)  # type: ignore[operator]
            for x in trained.test_x(n).split(batch)
        ]
    values = torch.cat(rows)
    return average(values, f"n={len(values)}, {draws} draws")
