"""KL(q || p) to the posterior by k nearest neighbours: the direction that variational Bayes minimises."""

from typing import Literal

import torch

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.knn import knn_kl

NEEDS = ("encode", "problem")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "k-NN: far downward where the first reaches beyond the second; upward where the second is wider"
EVERY_SNAPSHOT = True


def draws_of(trained: Trained, n: int):
    """n draws [n, latent] of q as float64 numbers."""
    with torch.no_grad():
        return trained.posterior_draws(n).double().cpu().numpy()


def evaluate(trained: Trained, *, n: int = 10_000, k: int = 3, reference: Literal["hmc", "exact"] = "hmc") -> Estimate:
    """Against the reference's draws; problems without HMC have an exact sampler."""
    kind = reference if trained.dataset == "eight-schools" else "exact"
    q, p = draws_of(trained, n), trained.reference_draws(n, kind)
    details = {"against exact draws": knn_kl(q, trained.reference_draws(n, "exact"), k)} if trained.final else {}
    return Estimate(knn_kl(q, p, k), None, n, f"k-NN k={k}, n={n}, {kind} reference", dict(details))
