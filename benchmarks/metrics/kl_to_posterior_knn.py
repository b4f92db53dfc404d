"""KL(q || p) by k nearest neighbours, as the AVB paper measured it: for beside its figure 3.

The paper's p are HMC draws; ours are exact ones, unless `reference` is hmc.
"""

from typing import Literal

from benchmarks.metrics import kl_to_posterior
from benchmarks.metrics.estimators.knn import knn_terms
from benchmarks.metrics.kl_to_posterior import DRAWS
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("encode", "problem")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "downward, by more than the differences between methods: read `kl_to_posterior`"
ERROR = "over draws; the bias is far larger"
VARIES = "samples"
LIMITS = (None, None)  # the estimate can be below 0
EVERY_SNAPSHOT = True


def evaluate(
    trained: Trained, *, n: int = 10_000, k: int = 3, reference: Literal["exact", "hmc"] = "exact"
) -> Estimate:
    """`n` draws of q and of the posterior; NotRunError where there are no such draws of the posterior."""
    terms = knn_terms(kl_to_posterior.draws_of(trained, n), trained.reference_draws(n, reference), k)
    value, protocol = float(terms.mean()), f"k-NN k={k}, n={n}, {DRAWS[reference]}"
    if not trained.final:
        return Estimate(value, float(terms.std() / n**0.5), n, protocol)
    better = kl_to_posterior.evaluate(trained, n=n, k=k)
    known = f"{better.value:.4g}" if better.low is None else f"{better.low:.4g} to {better.high:.4g}"
    warning = f"by k-NN to {DRAWS[reference]}, the paper's way; {known} by `kl_to_posterior`"
    details: dict[str, float | str] = {"error": value - better.value}
    return Estimate(value, float(terms.std() / n**0.5), n, protocol, details, warning=warning)
