"""The two unnormalised 2-d targets of the AVB authors' notebook (AVB figure 1 names none)."""

import torch
from torch import Tensor, nn


class PlaneTarget(nn.Module):
    """An unnormalised density over the plane; it has no prior, so `log_prior` is 0."""

    latent_dim = 2

    def log_prior(self, z: Tensor) -> Tensor:
        """0 [batch]."""
        return torch.zeros_like(z[:, 0])

    def log_density_on_grid(self, side: int = 401, reach: float = 5.0) -> tuple[Tensor, Tensor]:
        """Normalised log density [side, side] (nats) and the axis [side], by the trapezoid rule."""
        axis = torch.linspace(-reach, reach, side, dtype=torch.float64)
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        log_p = self.log_likelihood(grid, grid).reshape(side, side)
        return log_p - torch.logsumexp(log_p.flatten(), 0) - 2 * (axis[1] - axis[0]).log(), axis

    def exact_draws(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws [n, 2] from the density on a fine grid, jittered within the cell."""
        log_p, axis = self.log_density_on_grid(1001)
        cell = torch.multinomial(log_p.flatten().exp(), n, replacement=True, generator=generator)
        index = torch.stack([cell // len(axis), cell % len(axis)], 1)
        jitter = torch.rand(n, 2, generator=generator, dtype=torch.float64) - 0.5
        return axis[index] + jitter * (axis[1] - axis[0])

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log of the unnormalised density [batch]."""
        raise TypeError("use Torus or Rosenbrock")


class Torus(PlaneTarget):
    """log p = -(|z|^2 - 2)^2."""

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -(z.square().sum(1) - 2).square()


class Rosenbrock(PlaneTarget):
    """log p = -(z1 - 1)^2 - (z2 - z1^2)^2."""

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -(z[:, 0] - 1).square() - (z[:, 1] - z[:, 0].square()).square()
