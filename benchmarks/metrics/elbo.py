"""ELBO: mean of log p(x, z) - log q(z|x) over test images and `draws` draws each (AVB eq. 2.1)."""

import torch

from benchmarks.trained import Estimate, Trained, average, batch_of

NEEDS = ("log_weight", "data")
UNIT = "nats"
KIND = "bound"
BETTER = "higher"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512) -> Estimate:
    """A lower bound on log p(x)."""
    with torch.no_grad():
        rows = [
            torch.stack([trained.method.log_weight(batch_of(x)) for _ in range(draws)]).mean(0)  # type: ignore[operator]
            for x in trained.test_x(n).split(batch)
        ]
    values = torch.cat(rows)
    return average(values, f"n={len(values)}, {draws} draws")
