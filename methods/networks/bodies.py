"""Building blocks. Linear and convolution weights start Xavier-uniform, biases at zero.

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
    "lrelu-0.1": lambda: nn.LeakyReLU(0.1),
    "softplus": Softplus,
    "tanh": nn.Tanh,
}


def activation_named(name: str) -> nn.Module:
    """The activation module called `name`; ValueError with the known names otherwise."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: {name!r} is unknown; accepted: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


# A CPU in bf16 and a GPU convolve fastest with the channels last in memory.
LAYOUT = torch.channels_last

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class Body(nn.Module):
    """A network whose output [batch, out_features] an encoder or a decoder builds on."""

    out_features: int
    emits_x = False  # whether the features are already one value per sub-pixel


Module = TypeVar("Module", bound=nn.Module)


def lay_out(module: Module) -> Module:
    """`module` with the weights of its convolutions in the layout of their inputs."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.weight.data = part.weight.data.contiguous(memory_format=LAYOUT)
    return module


def xavier(layer: Layer, scale: float = 1.0) -> Layer:
    """Xavier-uniform weights times `scale` (0 for a layer that starts as the zero function), zero bias."""
    nn.init.xavier_uniform_(layer.weight)
    with torch.no_grad():
        layer.weight.mul_(scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def initial(layer: Layer, sd: float) -> Layer:
    """Weights ~ N(0, sd^2) and zero bias (DCGAN's start), or Xavier's for sd = 0."""
    xavier(layer)
    if sd > 0:
        nn.init.normal_(layer.weight, 0.0, sd)
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
    """Convolutional body: image -> flat features. `batch_norm` lists the layers that are normalised.

    `initial_sd` > 0 draws the convolutions' weights from N(0, initial_sd^2) instead of Xavier's.
    """

    def __init__(
        self,
        in_shape: tuple,
        channels: list[int],
        strides: list[int],
        kernel: int = 5,
        activation: str = "elu",
        batch_norm: list[int] | None = None,
        norm_momentum: float = 0.001,
        hidden: list[int] | None = None,
        dropout: float = 0.0,
        centre: bool = True,
        initial_sd: float = 0.0,
    ):
        super().__init__()
        if len(channels) != len(strides):
            raise ValueError(f"strides: {len(strides)} given for {len(channels)} channels; give one each")
        self.centre = centre
        layers: list[nn.Module] = []
        n_in, side = in_shape[0], in_shape[-1]
        for i, (width, stride) in enumerate(zip(channels, strides, strict=True)):
            layers.append(initial(nn.Conv2d(n_in, width, kernel, stride, (kernel - 1) // 2), initial_sd))
            if i in (batch_norm or []):
                layers.append(nn.BatchNorm2d(width, eps=1e-3, momentum=norm_momentum))
            layers.append(activation_named(activation))
            n_in, side = width, -(-side // stride)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        flat = n_in * side * side
        self.head = nn.Sequential(stack(flat, hidden or [], activation), nn.Dropout(dropout))
        self.out_features = hidden[-1] if hidden else flat

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * x - 1 if self.centre else x
        return self.head(self.layers(x.contiguous(memory_format=LAYOUT)))


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
        batch_norm: list[int] | None = None,
        norm_momentum: float = 0.1,
        outputs: int = 1,
        initial_sd: float = 0.0,
    ):
        super().__init__()
        if len(channels) != len(strides):
            raise ValueError(f"strides: {len(strides)} given for {len(channels)} channels; give one each")
        self.x_shape = x_shape
        self.side = -(-x_shape[-1] // prod(strides))
        widths = [*channels[1:], outputs * x_shape[0]]
        n_in = hidden[-1] if hidden else prod(in_shape)
        self.first = nn.Sequential(
            stack(prod(in_shape), hidden or [], activation),
            linear(n_in, channels[0] * self.side**2),
        )
        layers: list[nn.Module] = []
        for i, (n_from, n_to, stride) in enumerate(zip(channels, widths, strides, strict=True)):
            if i in (batch_norm or []):
                layers.append(nn.BatchNorm2d(n_from, momentum=norm_momentum))
            layers.append(activation_named(activation))
            pad = (kernel - 1) // 2
            layers.append(initial(UpConv(n_from, n_to, kernel, stride, pad, stride + 2 * pad - kernel), initial_sd))
        self.layers = nn.Sequential(*layers)
        self.out_features = outputs * prod(x_shape)

    def forward(self, z: Tensor) -> Tensor:
        maps = self.first(z).reshape(z.shape[0], -1, self.side, self.side)
        image = self.layers(maps.contiguous(memory_format=LAYOUT))
        return image[..., : self.x_shape[-2], : self.x_shape[-1]].flatten(1)
