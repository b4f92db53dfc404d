"""log p(x) by quadrature over a 2-d latent space: the trapezoid rule on [-reach, reach]^2, refined until it stands.

Of a prior that is not N(0, I) the square is widened to hold its draws, and the prior's own integral over it must be 1.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.prior import Prior
from benchmarks.metrics.estimators.quadrature import trapezoid as quadrature
from benchmarks.metrics.trained import Estimate, Trained, average
from methods.terms import softplus

NEEDS = ("decoder", "latent_2d", "data")
UNIT = "nats"
KIND = "exact"
BETTER = "higher"
BIAS = "none"
ERROR = "the change by the last halving of the grid, where the images are a whole population; else over test images"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (None, None)
CONTROLS = ("independent pixels",)
IMAGES = "test images"
LIKELIHOOD = True
QUANTITY = "log p(x)"
NUMBERS = 2**24  # held at once
HALVINGS = 4  # at most; 1 of a sample of images, whose error is far larger
DRAWS, WIDER = 100_000, 1.5  # of another prior than N(0, I), and how much further than they the square reaches
OUTSIDE = 1e-3  # of the prior's mass that the square may miss


def log_joint(decoder: Any, x: Tensor, z: Tensor) -> Tensor:
    """log p(x, z) [n, points], float64, of images x [n, *x_shape] at codes z [points, 2], nats."""
    if hasattr(decoder, "logits"):  # Bernoulli pixels: one pass of the decoder serves all images
        logits = decoder.logits(z)
        log_likelihood = (x.flatten(1) @ logits.T - softplus(logits).sum(1)).double()
    else:
        log_likelihood = torch.stack([decoder.log_likelihood(one[None], z).double() for one in x])
    return log_likelihood + Prior(decoder).log_prob(z.double())


def reach_of(prior: Prior, side: int, reach: float, device: torch.device) -> float:
    """Half a side of the square: `reach`, or more for a wider prior; NotRunError where the prior does not fit it."""
    if prior.standard:
        return reach
    reach = max(reach, WIDER * float(prior.draw(DRAWS, 2, device).abs().max()))
    axis = torch.linspace(-reach, reach, 2 * side - 1, dtype=torch.float64, device=device)
    mass = float(quadrature(prior.log_prob(torch.cartesian_prod(axis, axis)), reach / (side - 1)).exp())
    if abs(mass - 1) > OUTSIDE:
        raise NotRunError(f"exp(log_prior) has the integral {mass:.4g} over [-{reach:.3g}, {reach:.3g}]^2, not 1")
    return reach


def on_grid(decoder: Any, x: Tensor, side: int, reach: float) -> Tensor:
    """log p(x) [n] in float64 with side^2 points, nats."""
    axis = torch.linspace(-reach, reach, side, device=x.device)
    rows = max(1, NUMBERS // (side * (len(x) + x[0].numel())))
    parts = [torch.logsumexp(log_joint(decoder, x, torch.cartesian_prod(a, axis)), 1) for a in axis.split(rows)]
    return quadrature(torch.stack(parts, 1), 2 * reach / (side - 1))


def evaluate(
    trained: Trained, *, side: int = 401, reach: float = 6.0, n: int = 1000, tolerance: float = 1e-6
) -> Estimate:
    """Exact to `tolerance`: the spacing is halved, HALVINGS times at most, until no image changes by more.

    Control: pixels that are independent.
    """
    decoder, x = trained.method.decoder, trained.test_x(n)
    with torch.no_grad():
        reach = reach_of(Prior(decoder), side, reach, trained.device)
        values, change = on_grid(decoder, x, side, reach), torch.full((len(x),), torch.inf)
        for _ in range(HALVINGS if trained.population else 1):
            if float(change.max()) <= tolerance:
                break
            side = 2 * side - 1
            finer = on_grid(decoder, x, side, reach)
            values, change = finer, (finer - values).abs()
    details: dict[str, float | str] = {"points": f"{side}x{side}", "change": float(change.max())}
    found = average(values, f"n={len(values)}, quadrature", change, trained.population, **details)
    return replace(found, controls=controls.of_likelihood(trained, x))
