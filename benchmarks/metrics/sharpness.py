"""Mean absolute Laplacian of samples, relative to that of test images: 1 is as sharp as data (AS-VAE section 5.2)."""

import math

import torch
from torch import Tensor

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators import controls
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data")
UNIT = "relative to test images"
KIND = "estimate"
BETTER = "neither"
BETTER_DETAILS = {"distance from 1": "lower"}
BIAS = "none; but noise is sharper than any picture"
ERROR = "over samples and test images"
VARIES = "samples"
LIMITS = (0.0, None)
CONTROLS = ("noise", "noise, distance from 1")
LIKE_DATA = "classifier_fid"  # noise of the right contrast is as sharp as data
IMAGES = "samples against test images"
FLAT = 1e-6  # relative to test images: below it an image has no edges


def edges(x: Tensor) -> Tensor:
    """Mean absolute response [n] of the five-point Laplacian to images [n, channels, height, width]."""
    inner = x[:, :, 1:-1, 1:-1]
    around = x[:, :, :-2, 1:-1] + x[:, :, 2:, 1:-1] + x[:, :, 1:-1, :-2] + x[:, :, 1:-1, 2:]
    return (4 * inner - around).abs().flatten(1).mean(1)


def distance_from_one(value: float) -> float:
    """|log value|: twice as sharp is as far as half as sharp."""
    return abs(math.log(max(value, FLAT)))


def evaluate(trained: Trained, *, n: int = 1000) -> Estimate:
    """Noise is sharper than any picture: read it beside a score of quality, or the detail, |log value|.

    Control: test images with the pixels of each in random order.
    """
    x = trained.test_x(n)
    if min(x.shape[2:]) < 3:
        raise NotRunError(f"images of {x.shape[2]}x{x.shape[3]} pixels have no inside for a Laplacian")
    with torch.no_grad():
        real = edges(x).double()
        fake = edges(trained.samples(n)).double()
        noise = edges(controls.shuffled(x)).double()
    value, chance = (float(e.mean() / real.mean()) for e in (fake, noise))
    of_samples, of_images = (float(e.var() / len(e) / e.mean().square()) for e in (fake, real))  # delta method
    return Estimate(
        value,
        value * (of_samples + of_images) ** 0.5,
        n,
        f"n={n}, {len(real)} test images",
        {"distance from 1": distance_from_one(value)},
        images_error=value * of_images**0.5,
        controls={"noise": chance, "noise, distance from 1": distance_from_one(chance)},
    )
