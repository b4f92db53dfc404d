"""Root mean squared error of reconstructions (AS-VAE table 2, which does not print its definition).

The value is the Euclidean norm of an image's error with pixels in [0, 1], root mean square over images; the
detail is the error of a sub-pixel on the scale 0 to 255. They differ by the factor sqrt(D) / 255.
"""

import torch
from torch import Tensor

from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("reconstruct", "data")
UNIT = "norm, pixels in [0, 1]"
KIND = "estimate"
BETTER = "lower"
BIAS = "none"
ERROR = "over test images"
VARIES = "images"
PER_IMAGE = "squares"
LIMITS = (0.0, None)
CONTROLS = ("mean image", "another test image")
IMAGES = "test images"


def distance(made: Tensor, x: Tensor) -> float:
    """Root mean square over images x [n, ...] of the Euclidean norm of made - x."""
    return float((made - x).flatten(1).double().square().sum(1).mean().sqrt())


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 512) -> Estimate:
    """Reconstructions are decoder means at encoder means.

    Controls: the mean training image, and the next test image, as the reconstruction.
    """
    x = trained.test_x(n)
    with torch.no_grad():
        reconstructions = torch.cat([trained.method.reconstruct(piece) for piece in x.split(batch)])
    errors = (reconstructions - x).flatten(1).double()
    squares = errors.square().sum(1)
    value = float(squares.mean().sqrt())
    spread = float(squares.std() / len(squares) ** 0.5) / (2 * value) if value else 0.0  # delta method
    grey = 255 * float(errors.square().mean().sqrt())
    return Estimate(
        value,
        spread,
        len(squares),
        f"n={len(squares)}",
        {"per sub-pixel, 0 to 255": grey},
        per_image=squares,
        controls={"mean image": distance(trained.mean_image, x), "another test image": distance(x.roll(-1, 0), x)},
    )
