"""E_q T: the adversary's estimate of KL(q(z|x) || r(z|x)), r what it contrasts q with (AVB section 4, eq. 4.1).

With adaptive contrast r is the Gaussian with q's mean and variance, without it the prior.
"""

from dataclasses import replace

import torch

from benchmarks.metrics.estimators.adversary import draws_of, log_ratios
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("elbo_estimate", "encode", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "neither"
BIAS = "downward where the adversary is worse than optimal: it may be below 0"
ERROR = "over test images and draws; of a whole population of few images over draws alone"
IMAGES = "test images"
VARIES = "images"
LIMITS = (None, None)  # the estimate can be below 0
TO_THE_PRIOR, HALF = "to the prior", "half of that to the prior"  # the details


def evaluate(trained: Trained, *, n: int = 1000, draws: int = 16, least: int = 65_536, batch: int = 4096) -> Estimate:
    """`draws` of each image; of a whole population of few images `least` in all.

    Beside it the same adversary's KL(q(z|x) || p(z)), E_q [T + log r(z|x) - log p(z)], and half of that.
    """
    x, method = trained.test_x(n), trained.method
    each = max(draws, 2, -(-least // len(x)) if trained.population else 0)
    values, priors, errors = [], [], []
    with torch.no_grad():
        for piece in x.split(max(1, batch // each)):
            to_contrast, to_prior = log_ratios(method, piece, draws_of(method, piece, each))
            values.append(to_contrast.double().mean(0))
            priors.append(to_prior.double().mean(0))
            errors.append(to_contrast.double().std(0) / each**0.5)
    prior = float(torch.cat(priors).mean())
    found = average(torch.cat(values), f"n={len(x)}", torch.cat(errors), trained.population)
    return replace(found, details={TO_THE_PRIOR: prior, HALF: prior / 2})
