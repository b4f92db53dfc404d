"""A model of four pixels and two latent dimensions of which everything is known in closed form."""

from functools import cache

import torch
from torch import nn
from torch.distributions import Independent, Normal

from methods.terms import log_standard_normal

NOISE, LATENT = 0.5, 2


class Linear(nn.Module):
    """x | z ~ N(W z, s^2 I) with orthonormal columns: the posterior is a diagonal Gaussian."""

    def __init__(self, seed: int = 0):
        super().__init__()
        self.w = torch.linalg.qr(torch.randn(4, LATENT, generator=torch.Generator().manual_seed(seed)))[0]

    def forward(self, z):
        return Independent(Normal(self.mean(z), NOISE), 3)

    def mean(self, z):
        return (z @ self.w.T).reshape(-1, 1, 2, 2)

    def log_likelihood(self, x, z):
        return self(z).log_prob(x)

    def log_mass(self, x, z):
        output = Normal(self.mean(z).double(), NOISE)
        return (output.cdf(x + 1 / 512) - output.cdf(x - 1 / 512)).log().flatten(1).sum(1)

    def log_prior(self, z):
        return log_standard_normal(z)

    def sample_prior(self, n, device):
        return torch.randn(n, LATENT)

    def log_p(self, x):
        """log p(x) [n] in closed form."""
        covariance = self.w @ self.w.T + NOISE**2 * torch.eye(4)
        return torch.distributions.MultivariateNormal(torch.zeros(4), covariance).log_prob(x.flatten(1))


class Posterior(nn.Module):
    """The exact p(z|x) of `Linear()`, or one whose mean is off by `shift`."""

    def __init__(self, shift: float = 0.0):
        super().__init__()
        self.w, self.shift = Linear().w, shift

    def forward(self, x):
        variance = 1 / (1 + NOISE**-2)
        mean = variance * x.flatten(1) @ self.w / NOISE**2 + self.shift
        return Independent(Normal(mean, torch.full_like(mean, variance**0.5)), 1)


@cache
def simulated() -> torch.Tensor:
    """200 draws of `Linear()`."""
    torch.manual_seed(1)
    return Linear()(torch.randn(200, LATENT)).sample()
