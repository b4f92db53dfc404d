"""The aggregated posterior q(z), the mean over training images of q(z|x): its moments, and its density if known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators.quadrature import gaussian_of, posterior_of
from methods.terms import LOG_2PI
from methods.training.minibatches import Images

BLOCK = 2**24  # numbers held at once
TOGETHER = 1000  # images encoded at once


class Mixture(Protocol):
    """The mean of the densities q(z|x) of some inputs x."""

    def __len__(self) -> int: ...

    def draw(self, n: int) -> Tensor:
        """n draws z [n, latent] in float64, each of a component chosen at random."""
        ...

    def log_density(self, z: Tensor) -> Tensor:
        """log of the mean over components of q(z|x) [n], nats, at z [n, latent]."""
        ...


@dataclass(frozen=True)
class Gaussians:
    """A mixture of N(mean, diag sd^2), mean and sd [components, latent] in float64."""

    mean: Tensor
    sd: Tensor

    def __len__(self) -> int:
        return len(self.mean)

    def draw(self, n: int) -> Tensor:
        index = torch.randint(len(self), (n,), device=self.mean.device)
        return self.mean[index] + self.sd[index] * torch.randn_like(self.mean[index])

    def log_density(self, z: Tensor) -> Tensor:
        precision = self.sd.square().reciprocal()
        constant = (self.mean.square() * precision - precision.log() + LOG_2PI).sum(1)
        found = []
        for part in z.split(max(1, BLOCK // len(self))):
            squares = part.square() @ precision.T - 2 * part @ (self.mean * precision).T + constant
            found.append(torch.logsumexp(-0.5 * squares, 1))
        return torch.cat(found) - numpy.log(len(self))


@dataclass(frozen=True)
class Densities:
    """A mixture of any densities q(z|x) of inputs x [components, *x_shape], evaluated one z at a time."""

    method: Any
    x: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def draw(self, n: int) -> Tensor:
        index = torch.randint(len(self), (n,), device=self.x.device)
        return torch.cat([self.method.encode(self.x[part]) for part in index.split(TOGETHER)]).double()

    def log_density(self, z: Tensor) -> Tensor:
        total = torch.full((len(z),), -torch.inf, dtype=torch.float64, device=z.device)
        for x in self.x.split(TOGETHER):
            q = self.method.posterior(x)
            each = [torch.logsumexp(q.log_prob(one.to(x).expand(len(x), -1)).double(), 0) for one in z]
            total = torch.logaddexp(total, torch.stack(each))
        return total - numpy.log(len(self))


def mixture_of(method: Any, images: Images, index: Tensor) -> Mixture | None:
    """q(z) of the images at `index`, each input x drawn once; None where q(z|x) has no known density.

    NotRunError where some q(z|x) has shrunk to a point.
    """
    pieces = [images.batch(part).x for part in index.split(TOGETHER)]
    first = posterior_of(method, pieces[0][:1])
    if first is None:
        return None
    if gaussian_of(method, pieces[0][:1]) is None:
        return Densities(method, torch.cat(pieces))
    found = [method.posterior(x) for x in pieces]
    mixture = Gaussians(torch.cat([q.mean for q in found]).double(), torch.cat([q.stddev for q in found]).double())
    points = int((mixture.sd == 0).any(1).sum())
    if points:
        raise NotRunError(
            f"q(z|x) of {points} of {len(mixture)} inputs has a standard deviation of 0: its KL is infinite"
        )
    return mixture


def moment_kl(mean: Tensor, covariance: Tensor) -> float:
    """KL(N(mean, covariance) || N(0, I)), nats: of all q with these moments the least KL(q || N(0, I))."""
    return float(0.5 * (covariance.trace() + mean.square().sum() - len(mean) - torch.logdet(covariance)))


def moment_kl_of_draws(z: Tensor, log_prior: Callable[[Tensor], Tensor] | None = None) -> tuple[float, float]:
    """The moment KL from draws z [n, latent], less its bias by their finite number, and its error (delta method).

    Of another prior than N(0, I) the mean of log N(z) - log p(z), N of the same moments as q: it is below KL(q || p)
    by KL(q || N), whatever p is, and may be negative.
    """
    n, d = z.shape
    mean, covariance = z.mean(0), torch.cov(z.T).reshape(d, d)
    bias = (d + d * (d + 1) / 2) / (2 * n)
    if log_prior is not None:
        values = MultivariateNormal(mean, covariance, validate_args=False).log_prob(z) - log_prior(z)
        return float(values.mean()) - bias, float(values.std() / n**0.5)
    away = z - mean
    bend = torch.eye(d, dtype=z.dtype, device=z.device) - torch.linalg.inv(covariance)
    influence = away @ mean + 0.5 * ((away @ bend) * away).sum(1)
    return max(0.0, moment_kl(mean, covariance) - bias), float(influence.std() / n**0.5)


def moments_of(mixture: Gaussians) -> tuple[Tensor, Tensor]:
    """Mean [latent] and covariance [latent, latent] of the mixture, exactly."""
    mean = mixture.mean.mean(0)
    away = mixture.mean - mean
    return mean, away.T @ away / len(mixture) + mixture.sd.square().mean(0).diag()
