"""Cross-entropy between x and its reconstruction, nats, mean over pixels (AVB table 1; facts 4.2)."""

from torch import Tensor

from benchmarks.jobs.trained import Estimate, Trained, average, mean_over_draws

NEEDS = ("decoder", "encode", "data")
UNIT = "nats per pixel"
KIND = "estimate"
BETTER = "lower"
BIAS = "none"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512) -> Estimate:
    """-log p(x|z) at z ~ q(z|x), divided by the number of pixels."""
    method = trained.method

    def cross_entropy(x: Tensor) -> Tensor:
        return -method.decoder.log_likelihood(x, method.encode(x)) / x[0].numel()

    values = mean_over_draws(cross_entropy, trained.test_x(n), draws, batch)
    return average(values, f"n={len(values)}")
