"""ELBO: mean of log p(x, z) - log q(z|x) over test images and `draws` draws each (AVB eq. 2.1)."""

from benchmarks.jobs.trained import Estimate, Trained, average, batch_of, mean_over_draws

NEEDS = ("log_weight", "data")
UNIT = "nats"
KIND = "bound"
BETTER = "higher"
BIAS = "downward by KL(q(z|x) || p(z|x))"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512) -> Estimate:
    """A lower bound on log p(x)."""
    ask = trained.method.log_weight
    values = mean_over_draws(lambda x: ask(batch_of(x)), trained.test_x(n), draws, batch)  # type: ignore[operator]
    return average(values, f"n={len(values)}")
