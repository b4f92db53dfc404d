"""Mean absolute Laplacian of samples, relative to that of test images: 1 is as sharp as data (AS-VAE section 5.2)."""

import torch
from torch import Tensor

from benchmarks.errors import NotRunError
from benchmarks.jobs.trained import Estimate, Trained

NEEDS = ("sample", "data")
UNIT = "relative to test images"
KIND = "estimate"
BETTER = "neither"
BIAS = "none; but noise is sharper than any picture"
ERROR = "over samples and test images"
IMAGES = "samples against test images"


def edges(x: Tensor) -> Tensor:
    """Mean absolute response [n] of the five-point Laplacian to images [n, channels, height, width]."""
    inner = x[:, :, 1:-1, 1:-1]
    around = x[:, :, :-2, 1:-1] + x[:, :, 2:, 1:-1] + x[:, :, 1:-1, :-2] + x[:, :, 1:-1, 2:]
    return (4 * inner - around).abs().flatten(1).mean(1)


def evaluate(trained: Trained, *, n: int = 1000) -> Estimate:
    """Noise is sharper than any picture: read it beside a score of quality."""
    x = trained.test_x(n)
    if min(x.shape[2:]) < 3:
        raise NotRunError(f"images of {x.shape[2]}x{x.shape[3]} pixels have no inside for a Laplacian")
    with torch.no_grad():
        real = edges(x).double()
        fake = edges(trained.samples(n)).double()
    value = float(fake.mean() / real.mean())
    relative = [float(e.var() / len(e) / e.mean().square()) for e in (fake, real)]  # delta method
    return Estimate(value, value * sum(relative) ** 0.5, n, f"n={n}, {len(real)} test images")
