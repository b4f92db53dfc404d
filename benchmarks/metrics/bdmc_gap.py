"""Gap between AIS and BDMC's upper bound on data simulated from the model: how far AIS can be off."""

from typing import Literal

import torch

from benchmarks.metrics.ais import start_of
from benchmarks.metrics.estimators.annealing import annealed_importance_sampling
from benchmarks.metrics.estimators.likelihoods import likelihood_for
from benchmarks.metrics.trained import Estimate, Trained, average, log_mean_error
from methods.terms import log_mean_exp

NEEDS = ("decoder", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "upward: it holds the slack of both bounds"
ERROR = "over simulated images"
VARIES = "samples"
LIMITS = (0.0, None)
IMAGES = "simulated images"


def evaluate(
    trained: Trained,
    *,
    n: int = 100,
    distributions: int = 1000,
    chains: int = 5,
    leapfrogs: int = 10,
    path: Literal["linear", "sigmoid"] = "linear",
    forces: Literal["float32", "bfloat16"] = "float32",
) -> Estimate:
    """Upper minus lower bound of log p(x), mean over `n` simulated images."""
    decoder = trained.method.decoder
    with torch.no_grad():
        z = decoder.sample_prior(n, trained.device)
        x = decoder(z).sample()
        start, kind = start_of(trained, x, chains)
    likelihood = likelihood_for(decoder, x.repeat_interleave(chains, 0), forces)
    settings = (likelihood, chains, distributions, leapfrogs, path)
    lower, _ = annealed_importance_sampling(start, *settings)
    upper, _ = annealed_importance_sampling(start, *settings, z.repeat_interleave(chains, 0))
    low, high = log_mean_exp(lower, 1), -log_mean_exp(upper, 1)
    noise = (log_mean_error(lower).square() + log_mean_error(upper).square()).sqrt()
    details: dict[str, float | str] = {"lower bound": float(low.mean()), "upper bound": float(high.mean())}
    protocol = f"T={distributions}, {chains} chains, {leapfrogs} leapfrogs, {path}, {forces} forces, from {kind}"
    return average(high - low, f"n={n} simulated, {protocol}", noise, False, **details)
