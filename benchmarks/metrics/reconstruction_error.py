"""Cross-entropy between x and its reconstruction, nats, mean over pixels (AVB table 1)."""

from dataclasses import replace

from torch import Tensor

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.quadrature import expectation
from benchmarks.metrics.trained import WHOLE, Estimate, Trained, average, mean_over_draws

NEEDS = ("decoder", "encode", "data")
UNIT = "nats per pixel"
KIND = "estimate"
BETTER = "lower"
BIAS = "none"
ERROR = "over test images and draws; of a whole population of few images over draws alone"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (None, None)  # 0 at least for bits, but not for a density
CONTROLS = ("mean image",)
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512, whole: int = WHOLE) -> Estimate:
    """-log p(x|z) at z ~ q(z|x), divided by the number of pixels; draws and quadrature as of `elbo`.

    Control: the mean training image as every reconstruction.
    """
    method, x = trained.method, trained.test_x(n)
    pixels = x[0].numel()

    def cross_entropy(x: Tensor) -> Tensor:
        return -method.decoder.log_likelihood(x, method.encode(x)) / pixels

    found = expectation(trained, x, lambda x, z, log_q: -method.decoder.log_likelihood(x, z) / pixels)
    how = "Gauss-Hermite" if found else f"{draws} draws"
    values, noise = found or mean_over_draws(cross_entropy, x, draws, batch, whole if trained.population else 0)
    estimate = average(values, f"n={len(values)}", noise, trained.population, how=how)
    by_mean = controls.independent_pixels(trained, x)
    if by_mean is None:
        return estimate
    return replace(estimate, controls={"mean image": -float(by_mean.mean()) / pixels})
