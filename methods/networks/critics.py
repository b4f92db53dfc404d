"""Adversaries: networks with one logit for an image, a code or a pair of both."""

from math import prod

import torch
from torch import Tensor, nn

from methods.networks.bodies import Body, activation_named, linear, stack


class Residual(nn.Module):
    """h -> act(h + W2 act(W1 h)), W2 starting at zero, so that the block starts as the activation."""

    def __init__(self, width: int, activation: str, inner: str):
        super().__init__()
        self.branch = nn.Sequential(linear(width, width), activation_named(inner), linear(width, width, 0.0))
        self.activation = activation_named(activation)

    def forward(self, h: Tensor) -> Tensor:
        return self.activation(h + self.branch(h))


class ResidualCritic(nn.Module):
    """T(x, z) of one residual net on the concatenation (AVB's Eight Schools and notebook adversary).

    `latent_energy` adds that multiple of |z|^2: the known part of log q(z|x) - log N(z; 0, I) is 0.5 |z|^2.
    """

    def __init__(
        self,
        x_shape: tuple,
        latent_dim: int,
        width: int = 256,
        blocks: int = 5,
        activation: str = "lrelu",
        inner: str = "lrelu",
        latent_energy: float = 0.0,
    ):
        super().__init__()
        self.latent_energy = latent_energy
        self.layers = nn.Sequential(
            stack(prod(x_shape) + latent_dim, [width], activation),
            *(Residual(width, activation, inner) for _ in range(blocks)),
            linear(width, 1, 0.0),
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        logit = self.layers(torch.cat([x.flatten(1), z], 1)).squeeze(1)
        return logit + self.latent_energy * z.square().sum(1)


class InnerProductCritic(nn.Module):
    """T(x, z) = <f(x), g(z)> [+ a(x) + b(z)] + c |z|^2 (AVB section 5.2: the toy's and MNIST's adversary)."""

    def __init__(
        self,
        x_shape: tuple,
        latent_dim: int,
        hidden: list[int],
        features: int = 512,
        activation: str = "lrelu",
        marginal_terms: bool = False,
        latent_energy: float = 0.0,
    ):
        super().__init__()
        self.latent_energy, self.features = latent_energy, features
        n_x, width = prod(x_shape), hidden[-1]

        def net(n_in: int, n_out: int, scale: float) -> nn.Module:
            return nn.Sequential(stack(n_in, hidden, activation), linear(width, n_out, scale))

        self.f, self.g = net(n_x, features, 1.0), net(latent_dim, features, 1.0)
        # a 1e-5 start keeps T near the known part c |z|^2, as in the authors' code
        self.a = net(n_x, 1, 1e-5) if marginal_terms else None
        self.b = net(latent_dim, 1, 1e-5) if marginal_terms else None

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        x = x.flatten(1)
        logit = (self.f(x) * self.g(z)).sum(1) / self.features**0.5
        if self.a is not None and self.b is not None:
            logit = logit + self.a(x).squeeze(1) + self.b(z).squeeze(1)
        return logit + self.latent_energy * z.square().sum(1)


class LatentCritic(nn.Module):
    """T(z): an adversary that never sees x (AVB section 6.2, adversarial autoencoders)."""

    def __init__(self, latent_dim: int, hidden: list[int], activation: str = "lrelu"):
        super().__init__()
        self.layers = nn.Sequential(stack(latent_dim, hidden, activation), linear(hidden[-1], 1))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.layers(z).squeeze(1)


class ImageCritic(nn.Module):
    """T(x): one logit on a body (GAN's discriminator, WGAN's critic)."""

    def __init__(self, body: Body):
        super().__init__()
        self.body, self.head = body, linear(body.out_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)).squeeze(1)


class PairCritic(nn.Module):
    """T(x, z): a body on x, a layer on z, joined by fully connected layers (ALI, AS-VAE).

    Dropout of x's sub-pixels (`x_dropout`) keeps T from telling x from x alone, which would leave z without a gradient.
    """

    def __init__(
        self,
        latent_dim: int,
        body: Body,
        features: int,
        hidden: list[int],
        activation: str = "lrelu",
        x_dropout: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.body, self.z, self.x_dropout = body, stack(latent_dim, [features], activation), nn.Dropout(x_dropout)
        self.joint = nn.Sequential(
            nn.Dropout(dropout),
            stack(body.out_features + features, hidden, activation),
            nn.Dropout(dropout),
            linear(hidden[-1], 1),
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.joint(torch.cat([self.body(self.x_dropout(x)), self.z(z)], 1)).squeeze(1)
