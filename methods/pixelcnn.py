"""PixelCNN++ (Salimans, Karpathy, Chen & Kingma 2017): p(v) = prod of p(v_rc | earlier pixels), in raster order.

Two streams of maps cross the image, each a U-net of gated residual blocks. In the `down` stream the map at (r, c) knows
the rows above r; in the `right` stream it knows those and the pixels left of c. Levels are scaled to [-1, 1].
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import cached
from torch.optim.swa_utils import AveragedModel

from methods.method import Method
from methods.networks.logistic_mixture import LEVELS, LogisticMixture, levels_of, scaled
from methods.training.game import Batch, Player

Kind = Literal["down", "right"]
Maps = Tensor | None  # None while sampling, where a layer has no new row or pixel


def concat_elu(x: Tensor) -> Tensor:
    """elu of x and of -x, side by side."""
    return F.elu(torch.cat([x, -x], 1))


class Normed(nn.Module):
    """A layer with weights g v / |v| (weight normalisation), whose first outputs `initialising` centres and scales."""

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d, scale: float = 1.0):
        super().__init__()
        nn.init.normal_(layer.weight, 0.0, 0.05)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.out = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # the weights' axis of output maps
        self.layer: Any = weight_norm(layer, dim=self.out)
        self.scale = scale
        self.initialising = False

    def forward(self, x: Tensor) -> Tensor:
        if self.initialising:
            with torch.no_grad():
                found = self.layer(x)
                sd, mean = torch.std_mean(found.transpose(0, 1).flatten(1), 1)
                factor = self.scale / torch.where(sd > 1e-4, sd, 1)  # a map may be constant: nothing is above it
                g = self.layer.parametrizations.weight.original0
                g.mul_(factor.reshape([-1 if axis == self.out else 1 for axis in range(4)]))
                self.layer.bias.sub_(mean).mul_(factor)
        return self.layer(x)

    def empty(self, n: int, maps: int, side: int) -> Tensor | None:
        """Room for n square inputs or outputs of this layer; None for n = 0."""
        return self.layer.bias.new_zeros(n, maps, side, side) if n else None


def pointwise(n_in: int, n_out: int) -> Normed:
    """A 1x1 convolution."""
    return Normed(nn.Conv2d(n_in, n_out, 1))


class Cursor:
    """The pixel that is being sampled; while a stream of rows advances, column 0."""

    row = column = 0


class Streamed(nn.Module):
    """A layer that while sampling takes its input row by row (`down`) or pixel by pixel (`right`), and keeps a memory.

    It gives None where its output has no new row or pixel.
    """

    def __init__(self, kind: Kind):
        super().__init__()
        self.kind: Kind = kind
        self.memory: Tensor | None = None

    def start(self, cursor: Cursor, factor: int, memory: Tensor | None) -> None:
        """Sample from now on; a cell of this layer is `factor` pixels wide. Without a memory: whole images again."""
        self.cursor, self.factor, self.memory = cursor, factor, memory

    def cell(self) -> tuple[int, int]:
        """Row and column of the cursor in this layer's memory."""
        return self.cursor.row // self.factor, self.cursor.column // self.factor


class Shifted(Streamed):
    """A convolution over rows r-1 and r and columns c-1 to c+1 (`down`) or c-1 and c (`right`)."""

    def __init__(self, kind: Kind, n_in: int, n_out: int, stride: int = 1, scale: float = 1.0):
        super().__init__(kind)
        self.n_in, self.stride, self.after = n_in, stride, int(kind == "down")
        self.conv = Normed(nn.Conv2d(n_in, n_out, (2, 2 + self.after), stride), scale)

    def forward(self, x: Maps) -> Maps:
        if x is None:
            return None
        if self.memory is None:
            return self.conv(F.pad(x, (1, self.after, 1, 0)))
        (row, column), width = self.cell(), x.shape[3]
        self.memory[:, :, row + 1, column + 1 : column + 1 + width] = x[:, :, 0]
        if row % self.stride or column % self.stride:
            return None
        return self.conv(self.memory[:, :, row : row + 2, column : column + 1 + width + self.after])


class Enlarged(Streamed):
    """The transposed convolution of stride 2 that spreads a cell over the 2x2 ones that it may tell."""

    def __init__(self, kind: Kind, n: int):
        super().__init__(kind)
        self.n, self.crop = n, int(kind == "down")
        self.conv = Normed(nn.ConvTranspose2d(n, n, (2, 2 + self.crop), 2))

    def forward(self, x: Maps) -> Maps:
        if self.memory is None:
            return None if x is None else self.conv(x)[..., self.crop :]
        if self.cursor.row % self.factor or self.cursor.column % self.factor:
            return None
        row, column = self.cell()
        if x is not None:
            self.memory[:, :, row : row + 2, column : column + 2 * x.shape[3]] = self.conv(x)[..., self.crop :]
        width = self.memory.shape[3] if self.kind == "down" else 1
        return self.memory[:, :, row : row + 1, column : column + width]


class GatedBlock(nn.Module):
    """x + a sigmoid(b): (a, b) are two convolutions of x, with maps from `beside` added to the first (section 2.4)."""

    def __init__(self, kind: Kind, n: int, n_beside: int, dropout: float):
        super().__init__()
        self.first, self.second = Shifted(kind, 2 * n, n), Shifted(kind, 2 * n, 2 * n, scale=0.1)
        self.beside = pointwise(2 * n_beside, n) if n_beside else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Maps, beside: list[Maps]) -> Maps:
        if x is None:
            return None
        maps = self.first(concat_elu(x))
        if self.beside is not None:
            maps = maps + self.beside(concat_elu(torch.cat(beside, 1)))  # type: ignore[arg-type]
        a, b = self.second(self.dropout(concat_elu(maps))).chunk(2, 1)
        return x + a * b.sigmoid()


class Stream(nn.Module):
    """A U-net of one kind: `scales` stages of blocks, each at half the side of the one before, and back with skips."""

    def __init__(self, kind: Kind, n: int, blocks: int, scales: int, dropout: float):
        super().__init__()
        other = n if kind == "right" else 0
        self.inward, self.outward = nn.ModuleList(), nn.ModuleList()
        for stage in range(scales):
            self.inward.extend(GatedBlock(kind, n, other, dropout) for _ in range(blocks))
            self.outward.extend(GatedBlock(kind, n, other + n, dropout) for _ in range(blocks + (stage > 0)))
            if stage < scales - 1:
                self.inward.append(Shifted(kind, n, n, stride=2))
                self.outward.append(Enlarged(kind, n))

    def forward(self, x: Maps, others: list[Maps] | None = None) -> list[Maps]:
        """Maps of the start and of every layer; a layer looks at the other stream's maps of the same place."""
        maps = [x]

        def advance(layer: nn.Module, x: Maps, *skip: Maps) -> Maps:
            beside = [*([] if others is None else [others[len(maps)]]), *skip]
            maps.append(layer(x, beside) if isinstance(layer, GatedBlock) else layer(x))
            return maps[-1]

        for layer in self.inward:
            x = advance(layer, x)
        skips = maps[:-1]
        for layer in self.outward:
            x = advance(layer, x, *([skips.pop()] if isinstance(layer, GatedBlock) else []))
        return maps

    def start(self, cursor: Cursor, n: int, side: int) -> None:
        """Give every layer a memory for n images; none for n = 0."""
        factor = 1
        for layer in [*self.inward, *self.outward]:
            if isinstance(layer, Enlarged):
                factor //= 2
            for part in layer.modules():
                if isinstance(part, Shifted):
                    part.start(cursor, factor, part.conv.empty(n, part.n_in, side // factor + 2))
                elif isinstance(part, Enlarged):
                    part.start(cursor, factor, part.conv.empty(n, part.n, side // factor))
            if isinstance(layer, Shifted):
                factor *= 2


class ShiftedUNet(nn.Module):
    """The network of PixelCNN++: mixture parameters of every pixel given the earlier ones (figure 2).

    `filters` maps everywhere, `blocks` gated blocks a stage, `scales` stages, `mixtures` logistics.
    """

    def __init__(
        self, x_shape: tuple, filters: int, blocks: int, scales: int = 3, mixtures: int = 10, dropout: float = 0.5
    ):
        super().__init__()
        if x_shape[1] != x_shape[2] or x_shape[1] % 2 ** (scales - 1):
            raise ValueError(f"scales: {scales} need square images of a side that {2 ** (scales - 1)} divides")
        self.x_shape, self.mixtures = tuple(x_shape), mixtures
        channels = x_shape[0]
        self.first = Normed(nn.Conv2d(channels + 1, filters, (2, 3)))
        self.above = Normed(nn.Conv2d(channels + 1, filters, (1, 3)))
        self.left = Normed(nn.Conv2d(channels + 1, filters, (2, 1)))
        self.down = Stream("down", filters, blocks, scales, dropout)
        self.right = Stream("right", filters, blocks, scales, dropout)
        self.head = pointwise(filters, mixtures * (1 + 2 * channels + channels * (channels - 1) // 2))

    def forward(self, x: Tensor) -> "LogisticMixture":
        """x [batch, *x_shape] in [-1, 1] -> a mixture for each pixel [batch, height, width]."""
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)  # tells the image from its padding
        down = self.down(self.first(F.pad(x, (1, 1, 2, -1))))
        right = self.right(self.above(F.pad(x, (1, 1, 1, -1))) + self.left(F.pad(x, (1, -1, 1, 0))), down)
        return LogisticMixture(self.head(F.elu(right[-1])), self.mixtures, self.x_shape[0])

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws of v [n, *x_shape]; a row costs the down stream one row, a pixel the right stream one pixel."""
        channels, side, _ = self.x_shape
        seen = self.first.layer.bias.new_zeros(n, channels + 1, side + 2, side + 2)
        seen[:, -1, 2:, 1:-1] = 1
        cursor = Cursor()
        with cached():
            for stream in (self.down, self.right):
                stream.start(cursor, n, side)
            for cursor.row in range(side):
                r, cursor.column = cursor.row, 0
                down = self.down(self.first(seen[:, :, r : r + 2]))
                for cursor.column in range(side):
                    c = cursor.column
                    beside = [m if m is None else m[..., c * m.shape[3] // side, None] for m in down]
                    x = self.above(seen[:, :, r + 1 : r + 2, c : c + 3]) + self.left(
                        seen[:, :, r + 1 : r + 3, c : c + 1]
                    )
                    maps = self.right(x, beside)[-1]
                    drawn = LogisticMixture(self.head(F.elu(maps)), self.mixtures, channels).sample()
                    seen[:, :-1, r + 2, c + 1] = drawn[:, 0, 0]
            for stream in (self.down, self.right):
                stream.start(cursor, 0, side)
        return levels_of(seen[:, :-1, 2:, 1:-1])


class PixelCNN(Method):
    """Maximum likelihood: min -sum over pixels of log p(v_rc | earlier pixels).

    In evaluation the network is the Polyak average of the trained one's weights, with `decay`, less at the start.
    """

    paper = "AS-VAE, baselines of tables 2 and 3"
    equations = "Salimans et al. 2017, 1 to 3"
    player_names = ("model",)
    provides = ("log_prob", "sample")

    def __init__(self, network: ShiftedUNet, decay: float = 0.9995):
        super().__init__()
        self.network = network
        self.average = AveragedModel(network, avg_fn=lambda a, w, n: a + (1 - min(decay, (1 + n) / (10 + n))) * (w - a))

    def players(self) -> dict[str, Player]:
        return {
            "model": Player(
                (self.network,),
                lambda batch: -self.log_prob_by(self.network, batch.x).mean(),
                after_step=lambda: self.average.update_parameters(self.network),
            )
        }

    def initialise(self, batch: Batch) -> None:
        """Data-dependent start of weight normalisation: every layer's outputs have mean 0 and a set spread."""
        layers = [layer for layer in self.network.modules() if isinstance(layer, Normed)]
        for layer in layers:
            layer.initialising = True
        self.log_prob_by(self.network, batch.x)
        for layer in layers:
            layer.initialising = False

    def log_prob_by(self, network: nn.Module, x: Tensor) -> Tensor:
        """log P(v) [batch], nats, of the levels of x [batch, *x_shape] in [0, 1] under one of the two networks."""
        levels = scaled((x * LEVELS).floor().clamp(0, LEVELS - 1))
        return network(levels).log_prob(levels.permute(0, 2, 3, 1)).flatten(1).sum(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log P(v) [batch], nats, of the levels of x [batch, *x_shape] in [0, 1]."""
        return self.log_prob_by(self.average.module, x)

    def validation_loss(self, batch: Batch) -> Tensor:
        return -self.log_prob(batch.x).mean()

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n exact draws of x = v / 255 [n, *x_shape]."""
        network: Any = self.average.module
        return network.sample(n).to(device) / (LEVELS - 1)
