"""Integrals over a few latent dimensions without Monte-Carlo noise: on a square, and under a Gaussian q(z|x)."""

from collections.abc import Callable
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from benchmarks.metrics.trained import Trained

SIDE = 120  # Gauss-Hermite nodes in each dimension
MOST = 2**20  # evaluations of the decoder that quadrature may take in place of draws


def trapezoid(log_integrand: Tensor, spacing: float) -> Tensor:
    """log of the integral of exp(log_integrand) [..., points] over a square grid (negligible at its edge)."""
    return torch.logsumexp(log_integrand, -1) + 2 * torch.tensor(spacing, dtype=torch.float64).log()


def gaussian_nodes(mean: Tensor, sd: Tensor, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes z [side^d, batch, d] and weights [side^d] of N(mean, diag sd^2), mean and sd [batch, d]."""
    nodes, weights = (torch.from_numpy(a) for a in numpy.polynomial.hermite_e.hermegauss(side))
    d = mean.shape[1]
    grid = torch.cartesian_prod(*[nodes] * d).reshape(-1, d).to(mean.device)
    product = torch.cartesian_prod(*[weights / weights.sum()] * d).reshape(-1, d).prod(1).to(mean.device)
    return mean.double() + sd.double() * grid[:, None], product


def gaussian_of(method: Any, x: Tensor) -> Independent | None:
    """q(z|x) where it is a diagonal Gaussian, whose draws `encode` gives; else None."""
    q = posterior_of(method, x)
    return q if isinstance(q, Independent) and isinstance(q.base_dist, Normal) else None


def posterior_of(method: Any, x: Tensor) -> Any:
    """q(z|x) where its density at any z is known; None where the method only draws from it."""
    from methods.method import Method

    if not isinstance(method, Method) or type(method).encode is not Method.encode:
        return None
    q = method.posterior(x)
    return q if hasattr(q, "log_prob") else None


def expectation(
    trained: Trained, x: Tensor, score: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor] | None:
    """E_q score(x, z, log q(z|x)) [n] for each of a few images, and by how much coarser nodes change it [n].

    None where q(z|x) is no diagonal Gaussian in at most two dimensions, or the images are too many.
    """
    if trained.latent_dim > 2 or len(x) * SIDE**trained.latent_dim > MOST:
        return None
    with torch.no_grad():
        q = gaussian_of(trained.method, x)
        if q is None:
            return None
        found = []
        for side in (SIDE, SIDE - 20):
            z, weights = gaussian_nodes(q.mean, q.stddev, side)
            wide = x.repeat(len(z), *(1 for _ in x.shape[1:]))
            log_q = q.log_prob(z.to(q.mean)).flatten()
            each = score(wide, z.flatten(0, 1).to(q.mean), log_q).double().reshape(len(z), -1)
            found.append(weights @ each)
    return found[0], (found[0] - found[1]).abs()
