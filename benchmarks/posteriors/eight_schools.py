"""Eight Schools as in AVB section 5.1, with the data of the authors' notebook.

y is the textbook's divided by 10, but sigma is NOT (the textbook's tenth is about twice as large, and makes
the posterior of tau unimodal). theta_j = mu + tau eta_j, all ten parameters N(0, 1), tau of either sign:
(tau, eta) -> (-tau, -eta) leaves the posterior as it is, hence two modes. z = (mu, tau, eta_1..eta_8).
"""

import math

import torch
from torch import Tensor, nn

from methods.terms import log_standard_normal

Y = (2.8, 0.8, -0.3, 0.7, -0.1, 0.1, 1.8, 1.2)
SIGMA = (0.8, 0.5, 0.8, 0.6, 0.5, 0.6, 0.5, 0.4)


class EightSchools(nn.Module):
    """The posterior, its exact evidence and an exact sampler (eta and mu integrated out, quadrature over tau)."""

    latent_dim = 10
    y: Tensor
    sigma: Tensor

    def __init__(self, y: tuple[float, ...] = Y, sigma: tuple[float, ...] = SIGMA):
        super().__init__()
        self.register_buffer("y", torch.tensor(y, dtype=torch.float64), persistent=False)
        self.register_buffer("sigma", torch.tensor(sigma, dtype=torch.float64), persistent=False)
        self.evidence: float | None = None

    def log_prior(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) [batch], normalised."""
        return log_standard_normal(z)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(y|z) [batch], normalised; `x` is ignored."""
        mean = z[:, :1] + z[:, 1:2] * z[:, 2:]
        y, sigma = self.y.to(z), self.sigma.to(z)
        scaled = (y - mean) / sigma
        return -(0.5 * scaled.square() + sigma.log() + 0.5 * math.log(2 * math.pi)).sum(1)

    def log_tau(self, tau: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log p(tau, y) [n], and mean and precision [n] of the Gaussian p(mu | tau, y), of tau [n] on any device."""
        y, sigma, tau = self.y.to(tau.device), self.sigma.to(tau.device), tau.double()[:, None]
        variance = sigma.square() + tau.square()
        w = 1 / variance
        precision, b = 1 + w.sum(1), (w * y).sum(1)
        log_p = (
            -0.5 * tau[:, 0].square()
            - 0.5 * 9 * math.log(2 * math.pi)
            - 0.5 * variance.log().sum(1)
            - 0.5 * precision.log()
            - 0.5 * (w * y.square()).sum(1)
            + 0.5 * b.square() / precision
        )
        return log_p, b / precision, precision

    def log_evidence(self, nodes: int = 4001, reach: float = 10.0) -> float:
        """log p(y) in nats by the trapezoid rule over tau; -12.7108125 for the authors' data."""
        tau = torch.linspace(-reach, reach, nodes, dtype=torch.float64, device=self.y.device)
        log_p = self.log_tau(tau)[0]
        return float(torch.logsumexp(log_p, 0) + (tau[1] - tau[0]).log())

    def log_posterior(self, z: Tensor) -> Tensor:
        """log p(z|y) [batch] of z [batch, 10], nats, normalised; in the precision of z.

        The evidence is computed at the first call and kept.
        """
        if self.evidence is None:
            self.evidence = self.log_evidence()
        return self.log_prior(z) + self.log_likelihood(z, z) - self.evidence

    def exact_draws(self, n: int, generator: torch.Generator) -> Tensor:
        """n independent draws [n, 10] in float64: inverse CDF in |tau|, random sign, then mu, then eta.

        They are computed on the CPU, where the generator must be, and moved: the same numbers for every device.
        """
        grid = torch.linspace(0, 8, 200_001, dtype=torch.float64)
        density = (self.log_tau(grid)[0] - self.log_tau(grid)[0].max()).exp()
        cdf = torch.cumsum((density[1:] + density[:-1]) / 2, 0)
        cdf = torch.cat([torch.zeros(1, dtype=torch.float64), cdf / cdf[-1]])
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        right = torch.searchsorted(cdf, u).clamp(1, len(grid) - 1)
        share = (u - cdf[right - 1]) / (cdf[right] - cdf[right - 1])
        tau = grid[right - 1] + share * (grid[1] - grid[0])
        sign = torch.randint(0, 2, (n,), generator=generator, dtype=torch.float64) * 2 - 1
        tau = sign * tau
        _, mean, precision = self.log_tau(tau)
        noise = torch.randn(n, 9, generator=generator, dtype=torch.float64)
        mu = mean + noise[:, 0] / precision.sqrt()
        y, sigma = self.y.cpu(), self.sigma.cpu()
        q = 1 + (tau[:, None] / sigma).square()
        eta = tau[:, None] * (y - mu[:, None]) / sigma.square() / q + noise[:, 1:] / q.sqrt()
        return torch.cat([mu[:, None], tau[:, None], eta], 1).to(self.y.device)
