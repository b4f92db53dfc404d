"""How far AVB's adversary is from the pointwise mutual information of x and z (AVB corollary 4.3, eq. 3.9), 2-d codes.

Mean over draws of q(z|x) of |T - (log p(x|z) - log p(x))|, log p(x) by quadrature, T as log q(z|x) - log p(z): with
adaptive contrast log r(z|x) - log p(z) is added to what the adversary says.
"""

import torch
from torch import Tensor

from benchmarks.metrics.estimators.adversary import draws_of, log_ratios
from benchmarks.metrics.estimators.prior import Prior
from benchmarks.metrics.log_likelihood import log_joint
from benchmarks.metrics.posterior_kl import log_evidence
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("elbo_estimate", "decoder", "encode", "latent_2d", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "none"
ERROR = "over draws of q; over test images, where they are a sample"
IMAGES = "test images"
VARIES = "images"
LIMITS = (0.0, None)
PROBABILITY = "error of the probability"  # the detail


def evaluate(trained: Trained, *, n: int = 16, draws: int = 8192) -> Estimate:
    """Of `n` images. Beside it the mean of T less the information, and the error of the best constant in place of T.

    A constant does well where q(z|x) lies: so there is the error of sigmoid(T) too, the probability that a code is x's
    and not the prior's (eq. 3.3), at codes half of which are the prior's.
    """
    x, method = trained.test_x(n), trained.method
    prior = Prior(method.decoder)
    with torch.no_grad():
        log_p = log_evidence(trained, x)

        def said_and_true(z: Tensor) -> tuple[Tensor, Tensor]:
            """T and log p(x|z) - log p(x), both [draws, n]."""
            joint = torch.stack([log_joint(method.decoder, x[i : i + 1], z[:, i])[0] for i in range(len(x))], 1)
            log_prior = prior.log_prob(z.flatten(0, 1).double()).reshape(joint.shape)
            return log_ratios(method, x, z)[1].double(), joint - log_prior - log_p

        t, information = said_and_true(draws_of(method, x, draws))
        of_prior = prior.draw(draws * len(x), 2, x.device).to(x).reshape(draws, len(x), 2)
        pairs = (t, information), said_and_true(of_prior)
    error = (t - information).abs()
    details: dict[str, float | str] = {
        PROBABILITY: sum(float((a.sigmoid() - b.sigmoid()).abs().mean()) for a, b in pairs) / 2,
        "mean of T less the information": float((t - information).mean()),
        "mean information": float(information.mean()),
        "error of a constant": float((information - information.median()).abs().mean()),
    }
    noise = error.std(0) / draws**0.5
    return average(error.mean(0), f"n={len(x)}, {draws} draws each", noise, trained.population, **details)
