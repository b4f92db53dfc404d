"""KL(p || q) by k nearest neighbours, as the AVB paper may have measured it: for beside its figure 3.

The paper's p are HMC draws; ours are exact ones, unless `reference` is hmc.
"""

from typing import Literal

from benchmarks.metrics import kl_from_posterior
from benchmarks.metrics.estimators.knn import knn_terms
from benchmarks.metrics.kl_to_posterior import DRAWS, draws_of, has_density
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("encode", "problem")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "downward, by a factor of 4 and more where q misses a part of p: read `kl_from_posterior`"
ERROR = "over draws; the bias is far larger"
VARIES = "images"  # the draws of p, which all runs and seeds share as they do test images
LIMITS = (None, None)  # the estimate can be below 0
EVERY_SNAPSHOT = True
TRUTH_DRAWS = 200_000


def evaluate(
    trained: Trained, *, n: int = 10_000, k: int = 3, reference: Literal["exact", "hmc"] = "exact"
) -> Estimate:
    """`n` draws of the posterior and of q; NotRunError where there are no such draws of the posterior."""
    terms = knn_terms(trained.reference_draws(n, reference), draws_of(trained, n), k)
    value, protocol = float(terms.mean()), f"k-NN k={k}, n={n}, {DRAWS[reference]}"
    details: dict[str, float | str] = {}
    measured = f"by k-NN from {DRAWS[reference]}, as the paper may have measured it"
    warning = f"{measured}; the truth is not known, as q's density is not"
    if trained.final and has_density(trained):
        truth = kl_from_posterior.evaluate(trained, n=TRUTH_DRAWS).value
        warning = f"{measured}; {truth:.4g} by `kl_from_posterior`"
        details["error"] = value - truth
    return Estimate(value, float(terms.std() / n**0.5), n, protocol, details, warning=warning)
