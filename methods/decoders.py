"""Decoders: z [batch, latent] -> p(x|z), a `torch.distributions.Distribution` over x, with prior N(0, I)."""

from math import prod

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent

from methods.networks import Body, linear
from methods.terms import log_standard_normal, softplus


class BernoulliDecoder(nn.Module):
    """Independent Bernoulli pixels given z ~ N(0, I_latent)."""

    def __init__(self, x_shape: tuple, latent_dim: int, body: Body):
        super().__init__()
        self.x_shape, self.latent_dim, self.body = tuple(x_shape), latent_dim, body
        direct = body.emits_x
        self.head = nn.Identity() if direct else linear(body.out_features, prod(x_shape))

    def logits(self, z: Tensor) -> Tensor:
        """Flat logits [batch, prod(x_shape)]."""
        return self.head(self.body(z))

    def forward(self, z: Tensor) -> Independent:
        logits = self.logits(z).reshape(-1, *self.x_shape)
        return Independent(Bernoulli(logits=logits, validate_args=False), len(self.x_shape), validate_args=False)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) [batch], nats."""
        return log_standard_normal(z)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) [batch], nats, summed over pixels; grey x are Bernoulli probabilities."""
        logits, x = self.logits(z), x.flatten(1)
        return (x * logits - softplus(logits)).sum(1)

    def sample_prior(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n draws of z ~ N(0, I) [n, latent]."""
        return torch.randn(n, self.latent_dim, device=device)
