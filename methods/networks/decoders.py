"""Decoders: z [batch, latent] -> p(x|z) over x [batch, *x_shape], and p(z); generators have no density of x.

p(z) is what `log_prior` says, for objectives and metrics alike, and `sample_prior` draws from it: N(0, I) unless a
class overrides both.

Natural images are 8-bit levels v. In training x = (v + u)/256 with u ~ U(0, 1), and `log_likelihood` is a density; at
test `log_mass` is the decoder's mass of the bin [v/256, (v + 1)/256] that holds x (AS-VAE section 5.1).
"""

from abc import ABC, abstractmethod
from math import log, prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent
from torch.special import log_ndtr

from methods.networks.bodies import Body, linear
from methods.terms import LOG_2PI, log_standard_normal, softplus


class LatentModel(nn.Module):
    """Something that turns z ~ p(z) into x: `body` gives `per_pixel` numbers for each sub-pixel."""

    per_pixel = 1

    def __init__(self, x_shape: tuple, latent_dim: int, body: Body):
        super().__init__()
        self.x_shape, self.latent_dim, self.body = tuple(x_shape), latent_dim, body
        wanted = self.per_pixel * prod(x_shape)
        if body.emits_x and body.out_features != wanted:
            raise ValueError(f"body gives {body.out_features} numbers, expected {wanted}; set its option `outputs`")
        self.head = nn.Identity() if body.emits_x else linear(body.out_features, wanted)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) [batch], nats, normalised; N(0, I)."""
        return log_standard_normal(z)

    def sample_prior(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n draws of z ~ p(z) [n, latent]."""
        return torch.randn(n, self.latent_dim, device=device)


def has_standard_prior(model: Any) -> bool:
    """Whether p(z) of a decoder is N(0, I) and closed forms hold: it has no `log_prior`, or that of LatentModel."""
    log_prior = getattr(model, "log_prior", None)
    return log_prior is None or getattr(log_prior, "__func__", None) is LatentModel.log_prior


class Generator(LatentModel):
    """x = sigmoid(body(z)): an image in [0, 1] and no density (GANs, ALI)."""

    def mean(self, z: Tensor) -> Tensor:
        """The image [batch, *x_shape]."""
        return torch.sigmoid(self.head(self.body(z))).reshape(-1, *self.x_shape)

    generate = mean


class NoiseGenerator(Generator):
    """x = f(z, e), e ~ N(0, I) beside z at the body's input: an implicit p(x|z), known by its draws (BAVAE)."""

    widens_input = "noise_dim"

    def __init__(self, x_shape: tuple, latent_dim: int, body: Body, noise_dim: int):
        super().__init__(x_shape, latent_dim, body)
        self.noise_dim = noise_dim

    def generate(self, z: Tensor) -> Tensor:
        """A draw of x [batch, *x_shape]."""
        return super().generate(torch.cat([z, torch.randn(z.shape[0], self.noise_dim, device=z.device)], 1))

    mean = generate


class BernoulliDecoder(LatentModel):
    """Independent Bernoulli pixels; grey x are Bernoulli probabilities."""

    def logits(self, z: Tensor) -> Tensor:
        """Flat logits [batch, prod(x_shape)]."""
        return self.head(self.body(z))

    def forward(self, z: Tensor) -> Independent:
        logits = self.logits(z).reshape(-1, *self.x_shape)
        return Independent(Bernoulli(logits=logits, validate_args=False), len(self.x_shape), validate_args=False)

    def mean(self, z: Tensor) -> Tensor:
        """Probabilities [batch, *x_shape]."""
        return self.logits(z).sigmoid().reshape(-1, *self.x_shape)

    generate = mean  # bits have no reparametrisation: adversaries see grey levels

    def draw(self, z: Tensor) -> Tensor:
        """Bits x ~ p(x|z) [batch, *x_shape]."""
        return torch.bernoulli(self.mean(z))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) [batch], nats, summed over pixels."""
        logits, x = self.logits(z), x.flatten(1)
        return (x * logits - softplus(logits)).sum(1)

    log_mass = log_likelihood


class LocationScaleDecoder(LatentModel, ABC):
    """Independent sub-pixels m(z) + s(z) e, m in (0, 1), s at least half a bin (1/512)."""

    per_pixel = 2

    def parameters_at(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """m and log s, flat [batch, prod(x_shape)]; s starts near 0.2."""
        m, raw = self.head(self.body(z)).chunk(2, 1)
        return torch.sigmoid(m), log(1 / 512) + softplus(raw + 4.6)

    def mean(self, z: Tensor) -> Tensor:
        """m(z) [batch, *x_shape]."""
        return self.parameters_at(z)[0].reshape(-1, *self.x_shape)

    def generate(self, z: Tensor) -> Tensor:
        """A reparametrised draw of x [batch, *x_shape], which may lie outside [0, 1]."""
        m, log_s = self.parameters_at(z)
        return (m + log_s.exp() * self.noise(m)).reshape(-1, *self.x_shape)

    draw = generate

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log density p(x|z) [batch] at dequantised x, nats."""
        m, log_s = self.parameters_at(z)
        return (self.log_density((x.flatten(1) - m) / log_s.exp()) - log_s).sum(1)

    def log_mass(self, x: Tensor, z: Tensor) -> Tensor:
        """log P(v|z) [batch], nats, of the 8-bit level v = floor(256 x)."""
        m, log_s = self.parameters_at(z)
        low = (x.flatten(1) * 256).floor().clamp(0, 255) / 256
        return self.log_interval((low - m) / log_s.exp(), (low + 1 / 256 - m) / log_s.exp()).sum(1)

    @abstractmethod
    def noise(self, like: Tensor) -> Tensor:
        """Standard noise e."""

    @abstractmethod
    def log_density(self, e: Tensor) -> Tensor:
        """Its log density."""

    @abstractmethod
    def log_interval(self, a: Tensor, b: Tensor) -> Tensor:
        """log(F(b) - F(a)) for a < b, stable in both tails."""


class GaussianDecoder(LocationScaleDecoder):
    """Gaussian sub-pixels (AS-VAE section 5.1)."""

    def noise(self, like: Tensor) -> Tensor:
        return torch.randn_like(like)

    def log_density(self, e: Tensor) -> Tensor:
        return -0.5 * (e.square() + LOG_2PI)

    def log_interval(self, a: Tensor, b: Tensor) -> Tensor:
        flip = a + b > 0  # F(b) - F(a) = F(-a) - F(-b): both ends in the lower tail, where log F is exact
        a, b = torch.where(flip, -b, a), torch.where(flip, -a, b)
        upper = log_ndtr(b)
        return upper + torch.log(-torch.expm1(log_ndtr(a) - upper))


class LogisticDecoder(LocationScaleDecoder):
    """Logistic sub-pixels: lighter tails of the sums, closed-form masses."""

    def noise(self, like: Tensor) -> Tensor:
        return torch.logit(torch.rand_like(like), eps=1e-6)

    def log_density(self, e: Tensor) -> Tensor:
        return -softplus(e) - softplus(-e)

    def log_interval(self, a: Tensor, b: Tensor) -> Tensor:
        return -softplus(-b) - softplus(a) + torch.log(-torch.expm1(a - b))
