"""Importance-weighted bound: log of the mean of `samples` weights p(x, z)/q(z|x) (Burda et al. 2016, eq. 8)."""

from dataclasses import replace

import torch

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.trained import Estimate, Trained, average, batch_of, checked, log_mean_error
from methods.terms import log_mean_exp

NEEDS = ("log_weight", "data")
UNIT = "nats"
KIND = "lower bound"
BETTER = "higher"
BIAS = "downward, less with more samples"
ERROR = "over test images and draws"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (None, None)
CONTROLS = ("independent pixels",)
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log p(x)"


def evaluate(trained: Trained, *, n: int = 2048, samples: int = 5000, batch: int = 4096) -> Estimate:
    """A lower bound on log p(x), at least the ELBO, tight as `samples` grows. Control: pixels that are independent."""
    values, noise = [], []
    repeats = max(1, min(samples, batch))
    with torch.no_grad():
        for x in trained.test_x(n).split(max(1, batch // repeats)):
            weights = []
            for start in range(0, samples, repeats):
                k = min(repeats, samples - start)
                wide = x.repeat_interleave(k, 0)
                log_weight = trained.method.log_weight(batch_of(wide))  # type: ignore[operator]
                weights.append(log_weight.double().reshape(len(x), k))
            values.append(log_mean_exp(torch.cat(weights, 1), 1))
            noise.append(log_mean_error(torch.cat(weights, 1)))
    found = average(
        torch.cat(values),
        f"n={len(trained.test_x(n))}, {samples} importance samples",
        torch.cat(noise),
        trained.population,
    )
    return replace(checked(found, trained.test_x(n)), controls=controls.of_likelihood(trained, trained.test_x(n)))
