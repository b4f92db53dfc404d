"""The adversary's estimate of the ELBO, -E[T] + E[log p(x|z)] (AVB section 3). No bound: see table 2."""

from benchmarks.jobs.trained import Estimate, Trained, average, batch_of, mean_over_draws

NEEDS = ("elbo_estimate", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "neither"
BIAS = "upward where the adversary is worse than optimal: no bound"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512) -> Estimate:
    """Too high wherever the adversary is worse than optimal."""
    ask = trained.method.elbo_estimate
    values = mean_over_draws(lambda x: ask(batch_of(x)), trained.test_x(n), draws, batch)  # type: ignore[operator]
    return average(values, f"n={len(values)}")
