"""KL(p || q) by k nearest neighbours, as the AVB paper may have measured it: for beside its figure 3."""

from typing import Literal

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics import kl_from_posterior
from benchmarks.metrics.kl_to_posterior import draws_of, has_density
from benchmarks.metrics.knn import knn_terms

NEEDS = ("encode", "problem")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "downward, by a factor of 4 and more where q misses a part of p: read `kl_from_posterior`"
ERROR = "over draws; the bias is far larger"
EVERY_SNAPSHOT = True
TRUTH_DRAWS = 200_000


def evaluate(trained: Trained, *, n: int = 10_000, k: int = 3, reference: Literal["hmc", "exact"] = "hmc") -> Estimate:
    """Against the reference's draws; problems without HMC have an exact sampler."""
    kind = reference if trained.dataset == "eight-schools" else "exact"
    terms = knn_terms(trained.reference_draws(n, kind), draws_of(trained, n), k)
    value, protocol = float(terms.mean()), f"k-NN k={k}, n={n}, {kind} reference"
    details: dict[str, float | str] = {}
    warning = "as the paper measured it, by k-NN; the truth is not known, as q's density is not"
    if trained.final and has_density(trained):
        truth = kl_from_posterior.evaluate(trained, n=TRUTH_DRAWS).value
        warning = f"as the paper measured it, by k-NN; {truth:.4g} by `kl_from_posterior`"
        details["error"] = value - truth
    return Estimate(value, float(terms.std() / n**0.5), n, protocol, details, warning=warning)
