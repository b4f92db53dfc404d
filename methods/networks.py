"""Building blocks and critics. Linear and convolution weights start Xavier-uniform, biases at zero.

Bodies map a flat or image-shaped input to features [batch, out_features]. `in_shape`, `x_shape` and
`latent_dim` come from the data and the run; everything else is an option of the run.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import TypeVar

import torch
from torch import Tensor, nn

from methods.terms import softplus


class Softplus(nn.Module):
    """log(1 + e^x), fast on a CPU too."""

    def forward(self, x: Tensor) -> Tensor:
        return softplus(x).to(x.dtype)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "lrelu": lambda: nn.LeakyReLU(0.2),
    "softplus": Softplus,
    "tanh": nn.Tanh,
}


def activation_named(name: str) -> nn.Module:
    """The activation module called `name`; ValueError with the known names otherwise."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: {name!r} is unknown; accepted: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class Body(nn.Module):
    """A network whose output [batch, out_features] an encoder or a decoder builds on."""

    out_features: int
    emits_x = False  # whether the features are already one value per sub-pixel


def xavier(layer: Layer, scale: float = 1.0) -> Layer:
    """Xavier-uniform weights times `scale` (0 for a layer that starts as the zero function), zero bias."""
    nn.init.xavier_uniform_(layer.weight)
    with torch.no_grad():
        layer.weight.mul_(scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def linear(n_in: int, n_out: int, scale: float = 1.0) -> nn.Linear:
    """A fully connected layer, Xavier-initialised."""
    return xavier(nn.Linear(n_in, n_out), scale)


def stack(n_in: int, hidden: Sequence[int], activation: str) -> nn.Sequential:
    """Fully connected layers of the given widths, each followed by the activation."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [linear(n_in, width), activation_named(activation)]
        n_in = width
    return nn.Sequential(*layers)


class MLP(Body):
    """Fully connected body: [batch, *in_shape] -> [batch, hidden[-1]]; `centre` maps pixels to 2x - 1."""

    def __init__(self, in_shape: tuple, hidden: list[int], activation: str = "elu", centre: bool = False):
        super().__init__()
        self.centre = centre
        self.layers = stack(prod(in_shape), hidden, activation)
        self.out_features = hidden[-1]

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.layers(2 * x - 1 if self.centre else x)


class ConvStack(Body):
    """Convolutional body: image -> flat features. `batch_norm` lists the layers that are normalised."""

    def __init__(
        self,
        in_shape: tuple,
        channels: list[int],
        strides: list[int],
        kernel: int = 5,
        activation: str = "elu",
        batch_norm: list[int] | None = None,
        hidden: list[int] | None = None,
        centre: bool = True,
    ):
        super().__init__()
        if len(channels) != len(strides):
            raise ValueError(f"strides: {len(strides)} given for {len(channels)} channels; give one each")
        self.centre = centre
        layers: list[nn.Module] = []
        n_in, side = in_shape[0], in_shape[-1]
        for i, (width, stride) in enumerate(zip(channels, strides, strict=True)):
            layers.append(xavier(nn.Conv2d(n_in, width, kernel, stride, kernel // 2)))
            if i in (batch_norm or []):
                layers.append(nn.BatchNorm2d(width, eps=1e-3, momentum=0.001))
            layers.append(activation_named(activation))
            n_in, side = width, -(-side // stride)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        flat = n_in * side * side
        self.head = stack(flat, hidden or [], activation)
        self.out_features = hidden[-1] if hidden else flat

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * x - 1 if self.centre else x
        return self.head(self.layers(x.contiguous(memory_format=torch.channels_last)))


class UpConv(nn.ConvTranspose2d):
    """Transposed convolution; 5x5 of stride 2 on a CPU as 3x3 and a pixel shuffle: the same sums, twice as fast."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if input.device.type != "cpu" or self.kernel_size != (5, 5) or self.stride != (2, 2):
            return super().forward(input, output_size)
        n_in, n_out = self.weight.shape[:2]
        # output 2m + r sees input m + u - 1 through tap r + 4 - 2u, where tap 5 is zero
        taps = nn.functional.pad(self.weight, (0, 1, 0, 1)).reshape(n_in, n_out, 3, 2, 3, 2).flip(2, 4)
        kernel = taps.permute(1, 3, 5, 0, 2, 4).reshape(4 * n_out, n_in, 3, 3)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return nn.functional.pixel_shuffle(nn.functional.conv2d(input, kernel, bias, padding=1), 2)


class DeconvStack(Body):
    """Transposed convolutions: z -> [hidden layers] -> `channels[0]` maps -> ... -> one value per sub-pixel.

    The first map has the image's side divided by the product of `strides`, rounded up; the output is cropped.
    """

    emits_x = True

    def __init__(
        self,
        in_shape: tuple,
        x_shape: tuple,
        channels: list[int],
        strides: list[int],
        kernel: int = 5,
        activation: str = "relu",
        hidden: list[int] | None = None,
    ):
        super().__init__()
        if len(channels) != len(strides):
            raise ValueError(f"strides: {len(strides)} given for {len(channels)} channels; give one each")
        self.x_shape = x_shape
        self.side = -(-x_shape[-1] // prod(strides))
        widths = [*channels[1:], x_shape[0]]
        n_in = hidden[-1] if hidden else prod(in_shape)
        self.first = nn.Sequential(
            stack(prod(in_shape), hidden or [], activation),
            linear(n_in, channels[0] * self.side**2),
            activation_named(activation),
        )
        layers: list[nn.Module] = []
        for n_from, n_to, stride in zip(channels, widths, strides, strict=True):
            pad = (kernel - 1) // 2
            layer = UpConv(n_from, n_to, kernel, stride, pad, stride + 2 * pad - kernel)
            layers += [xavier(layer), activation_named(activation)]
        self.layers = nn.Sequential(*layers[:-1])
        self.out_features = prod(x_shape)

    def forward(self, z: Tensor) -> Tensor:
        maps = self.first(z).reshape(z.shape[0], -1, self.side, self.side)
        image = self.layers(maps.contiguous(memory_format=torch.channels_last))
        return image[..., : self.x_shape[-2], : self.x_shape[-1]].flatten(1)


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
