"""KL(q || p) to a known posterior: the direction that variational Bayes minimises (AVB section 5.1).

Of a q with a density, `kl_exact`. Of a q that only draws, -H(q) - E_q log p with the entropy by k nearest neighbours of
the whitened draws. That entropy is too high by an amount that depends on q; at as many exact draws of p, whose KL is 0,
it is measured, and the truth is taken to lie between the estimate and the estimate less that amount
give or take 0.05 nats and the noise of the draws, as
`python -m benchmarks.metrics.measured_errors` measures it.
"""

from dataclasses import replace

import numpy
import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics import kl_exact
from benchmarks.metrics.estimators.knn import log_densities
from benchmarks.metrics.estimators.quadrature import posterior_of
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("encode", "problem")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "none with a density; else within the interval shown"
ERROR = "over draws of q; the interval is that of the entropy's bias"
VARIES = "samples"
LIMITS = (0.0, None)
EVERY_SNAPSHOT = True
DENSITY_DRAWS = 100_000
SLACK = 0.05  # nats by which the truth was outside, where it is known
PROTOCOL = "evidence in closed form or by quadrature"
DRAWS = {"exact": "exact draws", "hmc": "HMC draws"}  # of the posterior, as protocols name them


def draws_of(trained: Trained, n: int) -> numpy.ndarray:
    """n draws [n, latent] of q as float64 numbers."""
    with torch.no_grad():
        return trained.posterior_draws(n).double().cpu().numpy()


def has_density(trained: Trained) -> bool:
    """Whether q's density is known at any z."""
    return posterior_of(trained.method, torch.zeros(1, 0, device=trained.device)) is not None


def log_posterior(trained: Trained, z: numpy.ndarray) -> numpy.ndarray:
    """log p(z|y) [n], nats; NotRunError where the normaliser is unknown."""
    if not hasattr(trained.problem, "log_posterior"):
        raise NotRunError(f"{trained.dataset} has no known log evidence")
    with torch.no_grad():
        return trained.problem.log_posterior(torch.from_numpy(z).to(trained.device)).cpu().numpy()


def enclosure(q: numpy.ndarray, log_p: numpy.ndarray, at_posterior: numpy.ndarray, k: int = 3) -> Estimate:
    """KL(q || p) in nats from draws q [n, d] with log p there [n], between two values.

    `at_posterior` [m]: log density estimate less log p at as many exact draws of p, whose mean is the estimator's bias.
    """
    values = log_densities(q, k) - log_p
    one, other = float(values.mean()), float(values.mean() - at_posterior.mean())
    error = float((values.var() / len(values) + at_posterior.var() / len(at_posterior)) ** 0.5)
    wide = SLACK + 1.96 * error
    low, high = max(0.0, min(one, other) - wide), max(one, other) + wide
    shared = float((at_posterior.var() / len(at_posterior)) ** 0.5)  # these draws are the same for all runs
    return Estimate((low + max(low, high)) / 2, error, len(values), low=low, high=max(low, high), images_error=shared)


def evaluate(trained: Trained, *, n: int = 10_000, k: int = 3) -> Estimate:
    """`n` draws of an implicit q and of the posterior; DENSITY_DRAWS of a q with a density."""
    if has_density(trained):
        found = kl_exact.evaluate(trained, n=max(n, DENSITY_DRAWS))
        return replace(found, protocol=PROTOCOL, kind="exact", details={"estimator": "q's density"})
    q, p = draws_of(trained, n), trained.reference_draws(n, "exact")
    at_posterior = log_densities(p, k) - log_posterior(trained, p)
    found = enclosure(q, log_posterior(trained, q), at_posterior, k)
    details: dict[str, float | str] = {"estimator": f"entropy by k-NN, k={k}"}
    details["estimate at exact draws"] = float(at_posterior.mean())
    return replace(found, protocol=PROTOCOL, details=details)
