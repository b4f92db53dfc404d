"""The two unnormalised 2-d targets of the AVB authors' notebook (AVB figure 1 names none), with exact samplers."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class PlaneTarget(nn.Module, ABC):
    """An unnormalised density over the plane; it has no prior, so `log_prior` is 0."""

    latent_dim = 2
    log_normaliser: float  # log of the density's integral, nats

    def log_prior(self, z: Tensor) -> Tensor:
        """0 [batch]."""
        return torch.zeros_like(z[:, 0])

    @abstractmethod
    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log of the unnormalised density [batch]; `x` is ignored."""

    def log_posterior(self, z: Tensor) -> Tensor:
        """log of the normalised density [batch], nats."""
        return self.log_likelihood(z, z) - self.log_normaliser

    @abstractmethod
    def exact_draws(self, n: int, generator: torch.Generator) -> Tensor:
        """n independent draws [n, 2] in float64, on the CPU."""


def inverse_cdf(axis: Tensor, log_density: Tensor, u: Tensor) -> Tensor:
    """Points [n] whose share of the density's mass on `axis` is u [n], the density linear between its points."""
    density = (log_density - log_density.max()).exp()
    mass = torch.cumsum((density[1:] + density[:-1]) / 2, 0)
    mass = torch.cat([torch.zeros_like(mass[:1]), mass / mass[-1]])
    right = torch.searchsorted(mass, u).clamp(1, len(axis) - 1)
    share = (u - mass[right - 1]) / (mass[right] - mass[right - 1])
    return axis[right - 1] + share * (axis[1] - axis[0])


class Torus(PlaneTarget):
    """log p = -(|z|^2 - 2)^2: |z|^2 is N(2, 1/2) above 0, and the angle is uniform."""

    log_normaliser = math.log(math.pi) + math.log(math.sqrt(math.pi) / 2 * (1 + math.erf(2)))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -(z.square().sum(1) - 2).square()

    def exact_draws(self, n: int, generator: torch.Generator) -> Tensor:
        u, angle = torch.rand(2, n, generator=generator, dtype=torch.float64)
        below = math.erf(-2) / 2 + 0.5  # mass of N(2, 1/2) below 0
        squared = 2 + torch.erfinv(2 * (below + (1 - below) * u) - 1)
        return squared.sqrt()[:, None] * torch.stack([(2 * math.pi * angle).cos(), (2 * math.pi * angle).sin()], 1)


class Rosenbrock(PlaneTarget):
    """log p = -(z1 - 1)^2 - (z2^2 - z1)^2, whose two branches are z2 = +-sqrt(z1) (the notebook's `get_logprob`).

    Given z2, z1 is N((1 + z2^2)/2, 1/4); the density of z2 alone is exp(-(z2^2 - 1)^2 / 2) but for its normaliser.
    """

    def __init__(self) -> None:
        super().__init__()
        axis, log_p = self.marginal()
        integral = float(torch.logsumexp(log_p, 0) + (axis[1] - axis[0]).log())
        self.log_normaliser = integral + 0.5 * math.log(math.pi / 2)

    @staticmethod
    def marginal(points: int = 200_001, reach: float = 4.0) -> tuple[Tensor, Tensor]:
        """z2 [points] and the unnormalised log density of z2 alone [points]; exp(-112) at the ends."""
        axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
        return axis, -0.5 * (axis.square() - 1).square()

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -(z[:, 0] - 1).square() - (z[:, 1].square() - z[:, 0]).square()

    def exact_draws(self, n: int, generator: torch.Generator) -> Tensor:
        z2 = inverse_cdf(*self.marginal(), torch.rand(n, generator=generator, dtype=torch.float64))
        z1 = (1 + z2.square()) / 2 + 0.5 * torch.randn(n, generator=generator, dtype=torch.float64)
        return torch.stack([z1, z2], 1)
