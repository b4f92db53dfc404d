"""Spread of q(z|x): geometric mean over images and dimensions of the standard deviation of its draws (AVB section 3.2).

0 of an encoder that has collapsed to a function of x, 1 of one that draws from N(0, I) whatever x is.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("encode", "data")
UNIT = "standard deviation of z"
KIND = "estimate"
BETTER = "neither"
BIAS = "none of a Gaussian, whose bias in the logarithm of few draws' deviation is taken off"
ERROR = "over test images; of a whole population of few images over draws"
IMAGES = "test images"
VARIES = "images"
LIMITS = (0.0, None)


def log_spread(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over dimensions of the log standard deviation of draws z [draws, n, latent], and its error, both [n].

    The error is that of the delta method; minus infinity, without one, where a dimension does not vary at all.
    """
    draws = len(z)
    variance = z.var(0)
    half = torch.tensor((draws - 1) / 2, dtype=z.dtype)
    bias = 0.5 * (torch.digamma(half) - half.log())
    influence = 0.5 * ((z - z.mean(0)).square() / variance - 1)
    error = influence.mean(2).std(0) / draws**0.5
    return 0.5 * variance.log().mean(1) - bias, torch.where(variance.amin(1) > 0, error, 0.0)


def evaluate(trained: Trained, *, n: int = 128, draws: int = 16_384, batch: int = 4096) -> Estimate:
    """`draws` of all images together, 16 of each at least."""
    x = trained.test_x(n)
    each = max(16, -(-draws // len(x)))
    found, errors = [], []
    with torch.no_grad():
        for piece in x.split(max(1, batch // each)):
            z = trained.method.encode(piece.repeat(each, *(1 for _ in piece.shape[1:]))).double()
            values, noise = log_spread(z.reshape(each, len(piece), -1))
            found.append(values)
            errors.append(noise)
    values = torch.cat(found)
    protocol = f"n={len(x)}, {each} draws each"
    if not values.isfinite().all():  # some code is a function of x alone
        return Estimate(0.0, 0.0, len(x), protocol)
    mean = average(values, protocol, torch.cat(errors), trained.population)
    value = math.exp(mean.value)
    scaled = {
        name: None if error is None else value * error
        for name, error in (("standard_error", mean.standard_error), ("draws_error", mean.draws_error))
    }
    details: dict[str, float | str] = {
        "of the narrowest q(z|x)": math.exp(float(values.min())),
        "of the widest q(z|x)": math.exp(float(values.max())),
    }
    return replace(mean, value=value, details=details, per_image=None, **scaled)
