"""Upper bound on -log P(v) of test images, nats: -ELBO with the decoder's mass of each 8-bit level (AS-VAE eq. 1)."""

import math

from torch import Tensor

from benchmarks.jobs.trained import Estimate, Trained, average, batch_of, mean_over_draws
from methods.terms import sample_with_log_prob

NEEDS = ("log_weight", "decoder", "encode", "data")
UNIT = "nats"
KIND = "bound"
BETTER = "lower"
BIAS = "upward by KL(q(z|x) || p(z|x))"


def per_image(trained: Trained, n: int, draws: int, batch: int) -> Tensor:
    """-E_q [log P(v|z) + log p(z) - log q(z|x)] [n], nats."""
    method = trained.method

    def bound(x: Tensor) -> Tensor:
        z, log_q = sample_with_log_prob(method.encoder(batch_of(x).x))
        return log_q - method.decoder.log_prior(z) - method.decoder.log_mass(x, z)

    return mean_over_draws(bound, trained.test_x(n), draws, batch, least=2048)


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 10, batch: int = 512) -> Estimate:
    """Nats an image; details: bits per dimension."""
    values = per_image(trained, n, draws, batch)
    bits = float(values.mean()) / (trained.test_x(1)[0].numel() * math.log(2))
    return average(values, f"n={len(values)}, z ~ q", **{"bits per dimension": bits})
