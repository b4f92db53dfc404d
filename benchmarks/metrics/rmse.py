"""Root mean squared error of reconstructions (AS-VAE table 2, which does not print its definition).

The value is the Euclidean norm of an image's error with pixels in [0, 1], root mean square over images; the
detail is the error of a sub-pixel on the scale 0 to 255. They differ by the factor sqrt(D) / 255.
"""

import torch

from benchmarks.jobs.trained import Estimate, Trained

NEEDS = ("reconstruct", "data")
UNIT = "norm, pixels in [0, 1]"
KIND = "estimate"
BETTER = "lower"
BIAS = "none"
ERROR = "over test images"
IMAGES = "test images"


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 512) -> Estimate:
    """Reconstructions are decoder means at encoder means."""
    with torch.no_grad():
        pieces = [(trained.method.reconstruct(x) - x).flatten(1) for x in trained.test_x(n).split(batch)]
    errors = torch.cat(pieces).double()
    squares = errors.square().sum(1)
    value = float(squares.mean().sqrt())
    spread = float(squares.std() / len(squares) ** 0.5) / (2 * value) if value else 0.0  # delta method
    grey = 255 * float(errors.square().mean().sqrt())
    return Estimate(value, spread, len(squares), f"n={len(squares)}", {"per sub-pixel, 0 to 255": grey})
