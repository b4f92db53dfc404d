"""Gap between AIS and BDMC's upper bound on data simulated from the model: how far AIS can be off."""

from typing import Literal

import torch

from benchmarks.jobs.trained import Estimate, Trained, average
from benchmarks.metrics.ais import start_of
from benchmarks.metrics.annealing import annealed_importance_sampling
from benchmarks.metrics.likelihoods import likelihood_for
from methods.terms import log_mean_exp

NEEDS = ("decoder", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "upward: it holds the slack of both bounds"


def evaluate(
    trained: Trained,
    *,
    n: int = 100,
    distributions: int = 1000,
    chains: int = 16,
    leapfrogs: int = 10,
    path: Literal["linear", "sigmoid"] = "linear",
) -> Estimate:
    """Upper minus lower bound of log p(x), mean over `n` simulated images."""
    decoder = trained.method.decoder
    with torch.no_grad():
        z = decoder.sample_prior(n, trained.device)
        x = decoder(z).sample()
        start, kind = start_of(trained, x, chains)
    likelihood = likelihood_for(decoder, x.repeat_interleave(chains, 0))
    settings = (likelihood, chains, distributions, leapfrogs, path)
    lower, _ = annealed_importance_sampling(start, *settings)
    upper, _ = annealed_importance_sampling(start, *settings, z.repeat_interleave(chains, 0))
    low, high = log_mean_exp(lower, 1), -log_mean_exp(upper, 1)
    return average(
        high - low,
        f"n={n} simulated, T={distributions}, {chains} chains, {path}",
        start=kind,
        **{"lower bound": float(low.mean()), "upper bound": float(high.mean())},
    )
