"""The networks that ALI was published with (Dumoulin et al. 2017, table 3): unpadded convolutions, maxout critics."""

from math import prod

import torch
from torch import Tensor, nn

from methods.networks.bodies import ACTIVATIONS, Body, initial


class Maxout(nn.Module):
    """The largest of `pieces` neighbouring channels (Goodfellow et al. 2013)."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(2)


class ValidConvs(Body):
    """Unpadded convolutions with batch norm and leaky ReLU, or with maxout and dropout: image -> flat features."""

    def __init__(
        self,
        in_shape: tuple,
        channels: list[int],
        kernels: list[int],
        strides: list[int],
        maxout: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        initial_sd: float = 0.01,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        n_in, side = in_shape[0], in_shape[-1]
        for i, (n_out, kernel, stride) in enumerate(zip(channels, kernels, strides, strict=True)):
            layers.append(nn.Dropout(dropout if i else input_dropout))
            conv = nn.Conv2d(n_in, 2 * n_out if maxout else n_out, kernel, stride)
            layers.append(initial(conv, initial_sd))
            layers += [Maxout(2)] if maxout else [nn.BatchNorm2d(n_out), ACTIVATIONS["lrelu-0.1"]()]
            n_in, side = n_out, (side - kernel) // stride + 1
            if side < 1:
                raise ValueError(f"kernels: images of {in_shape[-1]} pixels are too small for {kernels}")
        self.layers, self.out_features = nn.Sequential(*layers), n_in * side * side

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.contiguous(memory_format=torch.channels_last)).flatten(1)


class ValidDeconvs(Body):
    """Unpadded transposed convolutions with batch norm and leaky ReLU from z [batch, latent, 1, 1], then 1x1s.

    The last layer has a bias for each sub-pixel. (It starts at 0; the authors start at the mean image's log-odds.)
    """

    emits_x = True

    def __init__(
        self,
        in_shape: tuple,
        x_shape: tuple,
        channels: list[int],
        kernels: list[int],
        strides: list[int],
        initial_sd: float = 0.01,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        n_in, side = prod(in_shape), 1
        for n_out, kernel, stride in zip(channels, kernels, strides, strict=True):
            layers.append(initial(nn.ConvTranspose2d(n_in, n_out, kernel, stride), initial_sd))
            layers += [nn.BatchNorm2d(n_out), ACTIVATIONS["lrelu-0.1"]()]
            n_in, side = n_out, (side - 1) * stride + kernel
        if side != x_shape[-1]:
            raise ValueError(f"kernels: {kernels} give images of {side} pixels, expected {x_shape[-1]}")
        layers.append(initial(nn.Conv2d(n_in, x_shape[0], 1, bias=False), initial_sd))
        self.layers, self.bias = nn.Sequential(*layers), nn.Parameter(torch.zeros(x_shape))
        self.out_features = prod(x_shape)

    def forward(self, z: Tensor) -> Tensor:
        maps = z.flatten(1)[:, :, None, None].contiguous(memory_format=torch.channels_last)
        return (self.layers(maps) + self.bias).flatten(1)


def maxout_layers(n_in: int, widths: list[int], dropout: float, sd: float) -> nn.Sequential:
    """Dropout, fully connected, maxout of two; for each width."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Dropout(dropout), initial(nn.Linear(n_in, 2 * width), sd), Maxout(2)]
        n_in = width
    return nn.Sequential(*layers)


class MaxoutCritic(nn.Module):
    """f(x, z): maxout convolutions on x, maxout layers on z, joined by maxout layers with dropout."""

    def __init__(
        self, latent_dim: int, body: Body, z_hidden: list[int], hidden: list[int], dropout: float, initial_sd: float
    ):
        super().__init__()
        self.body, self.z = body, maxout_layers(latent_dim, z_hidden, dropout, initial_sd)
        self.joint = nn.Sequential(
            maxout_layers(body.out_features + z_hidden[-1], hidden, dropout, initial_sd),
            nn.Dropout(dropout),
            initial(nn.Linear(hidden[-1], 1), initial_sd),
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.joint(torch.cat([self.body(x), self.z(z)], 1)).squeeze(1)
