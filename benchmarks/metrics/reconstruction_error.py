"""Cross-entropy between x and its reconstruction, nats, mean over pixels (AVB table 1)."""

from torch import Tensor

from benchmarks.jobs.trained import WHOLE, Estimate, Trained, average, mean_over_draws
from benchmarks.metrics.quadrature import expectation

NEEDS = ("decoder", "encode", "data")
UNIT = "nats per pixel"
KIND = "estimate"
BETTER = "lower"
BIAS = "none"
ERROR = "over test images and draws; of a whole population of few images over draws alone"
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512, whole: int = WHOLE) -> Estimate:
    """-log p(x|z) at z ~ q(z|x), divided by the number of pixels; draws and quadrature as of `elbo`."""
    method, x = trained.method, trained.test_x(n)
    pixels = x[0].numel()

    def cross_entropy(x: Tensor) -> Tensor:
        return -method.decoder.log_likelihood(x, method.encode(x)) / pixels

    found = expectation(trained, x, lambda x, z, log_q: -method.decoder.log_likelihood(x, z) / pixels)
    how = "Gauss-Hermite" if found else f"{draws} draws"
    values, noise = found or mean_over_draws(cross_entropy, x, draws, batch, whole if trained.population else 0)
    return average(values, f"n={len(values)}", noise, trained.population, how=how)
