"""KL(p || q) from the posterior by k nearest neighbours: large where q misses a mode."""

from typing import Literal

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.kl_to_posterior import draws_of
from benchmarks.metrics.knn import knn_kl

NEEDS = ("encode", "problem")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "k-NN: far downward where the first reaches beyond the second; upward where the second is wider"
EVERY_SNAPSHOT = True


def evaluate(trained: Trained, *, n: int = 10_000, k: int = 3, reference: Literal["hmc", "exact"] = "hmc") -> Estimate:
    """Against the reference's draws; problems without HMC have an exact sampler."""
    kind = reference if trained.dataset == "eight-schools" else "exact"
    q, p = draws_of(trained, n), trained.reference_draws(n, kind)
    return Estimate(knn_kl(p, q, k), None, n, f"k-NN k={k}, n={n}, {kind} reference")
