"""Encoders: x [batch, *x_shape] -> q(z|x), an object with `rsample()`.

An encoder with a density returns a `torch.distributions.Distribution`; an implicit one returns an
`ImplicitPosterior`, which only samples, and gives Monte-Carlo moments. `provides` says which: `log_prob` (density
of its own draws), `foreign_log_prob` (of any z), `closed_kl` (diagonal Gaussian).
"""

from collections.abc import Callable
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from methods.networks.bodies import Body, activation_named, linear, stack
from methods.terms import diagonal_gaussian

EVALUATION_POOL = (
    1024  # draws behind the moments of an implicit q in evaluation; they bias its ELBO by 1/pool a dimension
)
DRAWN_AT_ONCE = 32


class ImplicitPosterior:
    """q(z|x) known by its draws: `draw(n)` gives [n, batch, latent]."""

    def __init__(
        self,
        draw: Callable[[int], Tensor],
        moment_draws: int = 32,
        moments: tuple[Tensor, Tensor] | None = None,
    ):
        self._draw, self._moment_draws, self._moments = draw, moment_draws, moments

    def rsample(self, sample_shape: tuple = ()) -> Tensor:
        """Reparametrised draws [*sample_shape, batch, latent]."""
        z = self._draw(prod(sample_shape))
        return z.reshape(*sample_shape, *z.shape[1:])

    def moments(self) -> tuple[Tensor, Tensor]:
        """Monte-Carlo mean and variance [batch, latent], each object's own draws, drawn once."""
        if self._moments is None:
            with torch.no_grad():
                pieces = [
                    min(DRAWN_AT_ONCE, self._moment_draws - k) for k in range(0, self._moment_draws, DRAWN_AT_ONCE)
                ]
                z = torch.cat([self._draw(n) for n in pieces])
                self._moments = z.mean(0), z.var(0)
        return self._moments

    @property
    def mean(self) -> Tensor:
        """Monte-Carlo mean [batch, latent]."""
        return self.moments()[0]

    @property
    def variance(self) -> Tensor:
        """Monte-Carlo variance [batch, latent]."""
        return self.moments()[1]


class GaussianEncoder(nn.Module):
    """q(z|x) = N(mu(x), diag sd(x)^2), every sd(x) above `min_sd`."""

    provides = ("log_prob", "foreign_log_prob", "closed_kl")

    def __init__(self, latent_dim: int, body: Body, min_sd: float = 0.0):
        super().__init__()
        self.body, self.min_sd = body, min_sd
        self.mean = linear(body.out_features, latent_dim)
        self.log_sd = linear(body.out_features, latent_dim)

    def forward(self, x: Tensor):
        h = self.body(x)
        return diagonal_gaussian(self.mean(h), self.log_sd(h), self.min_sd)


class PointEncoder(nn.Module):
    """z = mu(x), without noise: the encoder of BiGAN."""

    def __init__(self, latent_dim: int, body: Body):
        super().__init__()
        self.body, self.mean = body, linear(body.out_features, latent_dim)

    def forward(self, x: Tensor) -> ImplicitPosterior:
        z = self.mean(self.body(x))
        return ImplicitPosterior(lambda n: z.expand(max(n, 1), *z.shape), moments=(z, torch.zeros_like(z)))


class MeanFieldGaussian(nn.Module):
    """q(z) = N(m, diag s^2), the same for every x: automatic differentiation VI, mean-field."""

    provides = ("log_prob", "closed_kl", "log_density")

    def __init__(self, latent_dim: int, initial_sd: float = 1.0):
        super().__init__()
        self.mean = nn.Parameter(torch.randn(latent_dim))
        self.log_sd = nn.Parameter(torch.full((latent_dim,), initial_sd).log())

    def forward(self, x: Tensor):
        ones = x.new_ones(x.shape[0], 1)
        return diagonal_gaussian(ones * self.mean, ones * self.log_sd)


class FullRankGaussian(nn.Module):
    """q(z) = N(m, L L^T), the same for every x: automatic differentiation VI, full-rank."""

    provides = ("log_prob", "log_density")

    def __init__(self, latent_dim: int, initial_sd: float = 1.0):
        super().__init__()
        self.mean = nn.Parameter(torch.randn(latent_dim))
        self.log_diagonal = nn.Parameter(torch.full((latent_dim,), initial_sd).log())
        self.lower = nn.Parameter(torch.zeros(latent_dim, latent_dim))

    def forward(self, x: Tensor):
        scale = self.lower.tril(-1) + self.log_diagonal.exp().diag()
        mean = self.mean.expand(x.shape[0], -1)
        return MultivariateNormal(mean, scale_tril=scale, validate_args=False)


class NoiseMLP(nn.Module):
    """z = f(x, eps), the black-box encoder of AVB figure 2b: noise joins x at the input."""

    def __init__(
        self,
        in_shape: tuple,
        latent_dim: int,
        hidden: list[int],
        noise_dim: int,
        activation: str = "elu",
        centre: bool = False,
        moment_draws: int = 32,
    ):
        super().__init__()
        self.noise_dim, self.centre, self.moment_draws = noise_dim, centre, moment_draws
        self.layers = nn.Sequential(
            stack(prod(in_shape) + noise_dim, hidden, activation), linear(hidden[-1], latent_dim)
        )

    def forward(self, x: Tensor) -> ImplicitPosterior:
        x = x.flatten(1)
        x = 2 * x - 1 if self.centre else x

        def draw(n: int) -> Tensor:
            noise = torch.randn(n, x.shape[0], self.noise_dim, device=x.device)
            return self.layers(torch.cat([x.expand(n, *x.shape), noise], 2))

        return ImplicitPosterior(draw, self.moment_draws if self.training else EVALUATION_POOL)


class NoiseSampler(nn.Module):
    """z = f(eps), the same q(z) for every x: AVB for one posterior, whose moments come from `pool` draws."""

    def __init__(self, latent_dim: int, hidden: list[int], noise_dim: int, activation: str = "elu", pool: int = 512):
        super().__init__()
        self.noise_dim, self.pool = noise_dim, pool
        self.layers = nn.Sequential(stack(noise_dim, hidden, activation), linear(hidden[-1], latent_dim))

    def forward(self, x: Tensor) -> ImplicitPosterior:
        def draw(n: int) -> Tensor:
            return self.layers(torch.randn(n, x.shape[0], self.noise_dim, device=x.device))

        with torch.no_grad():
            pool = self.pool if self.training else EVALUATION_POOL
            z = self.layers(torch.randn(pool, self.noise_dim, device=x.device))
        moments = (z.mean(0).expand(x.shape[0], -1), z.var(0).expand(x.shape[0], -1))
        return ImplicitPosterior(draw, moments=moments)


class NoiseConv(nn.Module):
    """z = f(x, eps), noise added as a linear map to each convolution's features (C-AVB `conv0`)."""

    def __init__(
        self,
        in_shape: tuple,
        latent_dim: int,
        channels: list[int],
        strides: list[int],
        noise_dim: int,
        kernel: int = 5,
        activation: str = "elu",
        moment_draws: int = 8,
    ):
        super().__init__()
        self.noise_dim, self.moment_draws = noise_dim, moment_draws
        widths = [in_shape[0], *channels]
        pairs = zip(widths, channels, strides, strict=False)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, kernel, s, kernel // 2) for a, b, s in pairs)
        self.noise = nn.ModuleList(linear(noise_dim, width) for width in channels)
        self.activation = activation_named(activation)
        side = in_shape[-1]
        for stride in strides:
            side = -(-side // stride)
        self.head = linear(channels[-1] * side * side, latent_dim)

    def forward(self, x: Tensor) -> ImplicitPosterior:
        def draw(n: int) -> Tensor:
            noise = torch.randn(n * x.shape[0], self.noise_dim, device=x.device)
            h = (2 * x - 1).repeat(n, 1, 1, 1).contiguous(memory_format=torch.channels_last)
            for conv, shift in zip(self.convs, self.noise, strict=True):
                h = self.activation(conv(h) + shift(noise)[:, :, None, None])
            return self.head(h.flatten(1)).reshape(n, x.shape[0], -1)

        return ImplicitPosterior(draw, self.moment_draws if self.training else EVALUATION_POOL)


class BasisNoiseEncoder(nn.Module):
    """z = z0(x) + sum_i a_i(x) v_i(eps_i): moments need no x-dependent sampling (AVB section 5.2).

    The moments of each v_i come from a fresh pool of `pool` draws; a_i = elu(. - 5) + 1 starts near 0.007.
    """

    def __init__(
        self,
        latent_dim: int,
        body: Body,
        noise_dim: int,
        basis: int,
        hidden: list[int],
        pool: int = 128,
    ):
        super().__init__()
        self.body, self.noise_dim, self.basis, self.pool = body, noise_dim, basis, pool
        n = body.out_features
        self.centre = linear(n, latent_dim, 1e-5)
        self.coefficients = linear(n, basis * latent_dim)
        widths = [noise_dim, *hidden, latent_dim]
        # all basis nets at once: one batched matrix product per layer
        self.weights = nn.ParameterList(torch.empty(basis, a, b) for a, b in pairwise(widths))
        self.biases = nn.ParameterList(torch.zeros(basis, 1, b) for b in widths[1:])
        for weight in self.weights:
            for net in weight:
                nn.init.xavier_uniform_(net)

    def noise_vectors(self, n: int) -> Tensor:
        """v_i(eps_i) for n fresh draws: [n, basis, latent]."""
        h = torch.randn(self.basis, n, self.noise_dim, device=self.weights[0].device)
        for weight, bias in zip(list(self.weights)[:-1], list(self.biases)[:-1], strict=True):
            h = nn.functional.elu(torch.baddbmm(bias, h, weight))
        return torch.baddbmm(self.biases[-1], h, self.weights[-1]).transpose(0, 1)

    def forward(self, x: Tensor) -> ImplicitPosterior:
        h = self.body(x)
        centre = self.centre(h)
        a = nn.functional.elu(self.coefficients(h) - 5).reshape(x.shape[0], self.basis, -1) + 1

        def draw(n: int) -> Tensor:
            v = self.noise_vectors(n * x.shape[0]).reshape(n, *a.shape)
            return centre + (a * v).sum(2)

        with torch.no_grad():
            v = self.noise_vectors(self.pool if self.training else EVALUATION_POOL)
            moments = (centre + (a * v.mean(0)).sum(1), (a.square() * v.var(0)).sum(1))
        return ImplicitPosterior(draw, moments=moments)
