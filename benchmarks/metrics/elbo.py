"""ELBO: mean of log p(x, z) - log q(z|x) over test images and draws z ~ q(z|x) (AVB eq. 2.1)."""

from dataclasses import replace
from typing import Any

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.quadrature import expectation
from benchmarks.metrics.trained import WHOLE, Estimate, Trained, average, batch_of, checked, mean_over_draws
from methods.method import LikelihoodMethod

NEEDS = ("log_weight", "data")
UNIT = "nats"
KIND = "lower bound"
BETTER = "higher"
BIAS = "downward by KL(q(z|x) || p(z|x))"
ERROR = "over test images and draws; of a whole population of few images over draws alone"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (None, None)
CONTROLS = ("independent pixels",)
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log p(x)"


def plain(method: LikelihoodMethod) -> bool:
    """Whether its log weight is log p(x|z) + log p(z) - log q(z|x) of its encoder and decoder, and nothing else."""
    names = ("log_weight", "weight_terms")
    return all(getattr(type(method), name) is getattr(LikelihoodMethod, name) for name in names)


def evaluate(trained: Trained, *, n: int = 10_000, draws: int = 16, batch: int = 512, whole: int = WHOLE) -> Estimate:
    """A lower bound on log p(x). `draws` of each image, `whole` in all where the images are a whole population.

    Where these have a Gaussian q(z|x) in two dimensions, by Gauss-Hermite quadrature. Control: pixels that are
    independent.
    """
    x, method = trained.test_x(n), trained.method
    least = whole if trained.population else 0
    decoder: Any = getattr(method, "decoder", None)
    found = None
    if isinstance(method, LikelihoodMethod) and plain(method):
        found = expectation(trained, x, lambda x, z, log_q: decoder.log_likelihood(x, z) + decoder.log_prior(z) - log_q)
    how = "Gauss-Hermite" if found else f"{draws} draws"
    if found is None:
        ask = method.log_weight
        found = mean_over_draws(lambda x: ask(batch_of(x)), x, draws, batch, least)  # type: ignore[operator]
    estimate = checked(average(found[0], f"n={len(x)}", found[1], trained.population, how=how), x)
    return replace(estimate, controls=controls.of_likelihood(trained, x))
