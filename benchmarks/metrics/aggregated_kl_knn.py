"""KL(q(z) || p(z)) by k nearest neighbours, as the AVB paper measured it: for beside its numbers, not for the truth.

The measured error is its distance to `aggregated_kl`, whose estimate or bound is computed beside it.
"""

import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics import aggregated_kl
from benchmarks.metrics.estimators.knn import knn_terms
from benchmarks.metrics.estimators.prior import Prior
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("encode", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "by up to a factor of 25 downward: read `aggregated_kl`; the warning says how far it is off"
ERROR = "over draws of z; the bias is far larger"
VARIES = "samples"
LIMITS = (None, None)  # the estimate can be far below 0
IMAGES = "training images"


def evaluate(trained: Trained, *, n: int = 10_000, k: int = 3) -> Estimate:
    """Draws of q(z), training images at random and one code each, against as many of the prior."""
    if trained.data is None:
        raise NotRunError("a problem has no training images")
    with torch.no_grad():
        z, _ = aggregated_kl.code_pairs(trained.method, trained.data.train, n)
        prior = Prior.of(trained.method)
        drawn = prior.draw(n, z.shape[1], trained.device)
    terms = knn_terms(z.cpu().numpy(), drawn.cpu().numpy(), k)
    value, better = float(terms.mean()), aggregated_kl.evaluate(trained, n=n, k=k)
    bound = better.kind == "lower bound"
    details: dict[str, float | str] = {"error, at least" if bound else "error": value - better.value}
    warning = f"as the paper measured it, by k-NN; {'at least ' if bound else ''}{better.value:.4g} by `aggregated_kl`"
    found = Estimate(value, float(terms.std() / n**0.5), n, f"k-NN k={k}, n={n}", details, warning=warning)
    return aggregated_kl.noted(found, prior)
