"""Upper bound on -log P(v) of test images, nats: -ELBO with the decoder's mass of each 8-bit level (AS-VAE eq. 1)."""

import math
from dataclasses import replace

from torch import Tensor

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.trained import WHOLE, Estimate, Trained, average, batch_of, mean_over_draws
from methods.terms import sample_with_log_prob

NEEDS = ("log_weight", "decoder", "encode", "data")
UNIT = "nats"
KIND = "upper bound"
BETTER = "lower"
BIAS = "upward by KL(q(z|x) || p(z|x))"
ERROR = "over test images and draws"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (0.0, None)
CONTROLS = ("independent pixels", "uniform levels")
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log P(v)"


def per_image(trained: Trained, n: int, draws: int, batch: int, whole: int) -> tuple[Tensor, Tensor]:
    """-E_q [log P(v|z) + log p(z) - log q(z|x)] and its standard error, both [n], nats."""
    method = trained.method

    def bound(x: Tensor) -> Tensor:
        z, log_q = sample_with_log_prob(method.encoder(batch_of(x).x))
        return log_q - method.decoder.log_prior(z) - method.decoder.log_mass(x, z)

    return mean_over_draws(bound, trained.test_x(n), draws, batch, whole if trained.population else 0)


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 10, batch: int = 512, whole: int = WHOLE) -> Estimate:
    """Nats an image; details: bits per dimension.

    Control: pixels that are independent; of 8-bit levels, all as likely.
    """
    values, noise = per_image(trained, n, draws, batch, whole)
    bits = float(values.mean()) / (trained.test_x(1)[0].numel() * math.log(2))
    found = average(values, f"n={len(values)}, z ~ q", noise, trained.population, **{"bits per dimension": bits})
    return replace(found, controls=controls.of_mass(trained, trained.test_x(n), -1.0))
