"""log p(x) by quadrature over a 2-d latent space: the trapezoid rule on [-reach, reach]^2."""

import torch

from benchmarks.jobs.trained import Estimate, Trained, average

NEEDS = ("decoder", "latent_2d", "data")
UNIT = "nats"
KIND = "exact"
BETTER = "higher"
BIAS = "none: quadrature, to about 1e-6 for a smooth decoder"


def quadrature(log_integrand: torch.Tensor, spacing: float) -> torch.Tensor:
    """log of the integral of exp(log_integrand) [..., points] over a square grid (negligible at its edge)."""
    return torch.logsumexp(log_integrand, -1) + 2 * torch.tensor(spacing, dtype=torch.float64).log()


def evaluate(trained: Trained, *, side: int = 401, reach: float = 6.0, n: int = 1000) -> Estimate:
    """Exact to about 1e-6 for a smooth decoder."""
    axis = torch.linspace(-reach, reach, side, device=trained.device)
    grid = torch.cartesian_prod(axis, axis)
    decoder = trained.method.decoder
    with torch.no_grad():
        log_prior = decoder.log_prior(grid)
        x = trained.test_x(n)
        joint = [decoder.log_likelihood(one[None], grid).double() + log_prior for one in x]
        values = torch.stack([quadrature(j, 2 * reach / (side - 1)) for j in joint])
    return average(values, f"n={len(values)}, quadrature {side}x{side}")
