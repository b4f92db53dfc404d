"""PixelRNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016): p(x) = prod_i p(x_i | x_1 .. x_{i-1}) over sub-pixels.

Sub-pixels come row by row, in a row pixel by pixel, in a pixel R, G, B. `h` is a layer's number of features, and
`groups` say to which colour each feature belongs (section 3.4): a feature knows no later colour of its own pixel.
"""

from abc import ABC, abstractmethod
from itertools import pairwise, product
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.method import Method
from methods.networks.bodies import xavier
from methods.training.game import Player


def colour_groups(n: int, channels: int) -> Tensor:
    """The colour of each of n features [n]: equal shares, in the order of the channels."""
    return torch.arange(n) * channels // n


class MaskedConv(nn.Conv2d):
    """A convolution that sees earlier pixels, and of its own pixel earlier colours (mask A), or its own too (B)."""

    mask: Tensor

    def __init__(self, sources: Tensor, targets: Tensor, kernel: tuple[int, int], kind: Literal["A", "B"]):
        row, column = kernel[0] // 2, kernel[1] // 2
        super().__init__(len(sources), len(targets), kernel, padding=(row, column))
        mask = torch.zeros(self.weight.shape)
        mask[:, :, :row] = 1
        mask[:, :, row, :column] = 1
        later = targets[:, None] - sources[None]
        mask[:, :, row, column] = (later > 0 if kind == "A" else later >= 0).float()
        self.register_buffer("mask", mask, persistent=False)
        xavier(self)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight * self.mask, self.bias)

    def at(self, window: Tensor) -> Tensor:
        """One pixel [batch, out, 1, 1], given the window [batch, in, *kernel] around it."""
        return F.conv2d(window, self.weight * self.mask, self.bias)


class LSTMLayer(nn.Module, ABC):
    """A convolutional LSTM with a residual connection, on maps [batch, 2h, height, width] (sections 3.1 to 3.3).

    A step takes a whole line of pixels (a row, or a diagonal) from the line before. `initial` is the learned memory
    before the first line. `writer` writes a layer's outputs pixel by pixel, keeping the states that later pixels need.
    """

    directions: int
    neighbours: int
    taps: int
    writer: type

    def __init__(self, channels: int, h: int):
        super().__init__()
        groups, wide = colour_groups(h, channels), colour_groups(2 * h, channels)
        self.h = h
        self.input_to_state = MaskedConv(wide, groups.repeat(4 * self.directions), (1, self.taps), "B")
        # no mask: what a state sees of other pixels is all in the past
        self.state_to_state = nn.Parameter(torch.empty(self.directions, self.neighbours * h, 4 * h))
        for weight in self.state_to_state:
            nn.init.xavier_uniform_(weight)
        self.initial = nn.Parameter(torch.zeros(self.directions, h))
        self.up = MaskedConv(groups, wide, (1, 1), "B")

    def step(self, gates: Tensor, near: Tensor, c: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """h and c [directions, n, h] from K_is * x, K_ss's inputs and the memory before (eq. 3)."""
        of_i, g = torch.baddbmm(gates, near, weight).split([3 * self.h, self.h], -1)
        o, f, i = of_i.sigmoid().chunk(3, -1)
        c = f * c + i * g.tanh()
        return o * c.tanh(), c

    def scan(self, gates: Tensor) -> Tensor:
        """States [lines, directions, batch, n, h] of lines of n pixels, from K_is * x [.., 4h]."""
        _, directions, batch, n, _ = gates.shape
        c = self.initial[:, None].expand(directions, batch * n, self.h)
        state, states = c.tanh(), []
        for line in gates.flatten(2, 3).unbind(0):
            near = self.near(state.unflatten(1, (batch, n))).flatten(1, 2)
            state, c = self.step(line, near, c, self.state_to_state)
            states.append(state)
        return torch.stack(states).unflatten(2, (batch, n))

    @abstractmethod
    def near(self, state: Tensor) -> Tensor:
        """Of a line's states [directions, batch, n, h], those that each pixel of the next line sees [.., k h]."""


class RowWriter:
    """Keeps the row above's states, and the layer's input left of the pixel."""

    def __init__(self, layer: LSTMLayer, n: int, width: int):
        self.layer = layer
        self.x = layer.initial.new_zeros(n, 2 * layer.h, 1, width + 2)
        self.c = layer.initial[:, None, None].repeat(1, n, width, 1)
        self.state = self.c.tanh()
        self.finish_row()

    def at(self, x: Tensor, column: int) -> Tensor:
        layer = self.layer
        self.x[..., column + 1] = x[..., 0]
        gates = layer.input_to_state.at(self.x[..., column : column + 3])
        state, self.c[:, :, column] = layer.step(
            gates.flatten(1)[None], self.near[:, :, column], self.c_above[:, :, column], layer.state_to_state
        )
        self.state[:, :, column] = state
        return x + layer.up(state[0, :, :, None, None])

    def finish_row(self) -> None:
        self.near, self.c_above = self.layer.near(self.state), self.c.clone()


class RowLSTMLayer(LSTMLayer):
    """Lines are rows: a state sees three states of the row above (section 3.1)."""

    directions, neighbours, taps, writer = 1, 3, 3, RowWriter

    def near(self, state: Tensor) -> Tensor:
        padded = F.pad(state, (0, 0, 1, 1))
        return torch.cat([padded[:, :, :-2], state, padded[:, :, 2:]], -1)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.input_to_state(x).permute(2, 0, 3, 1)
        states = self.scan(gates[:, None])[:, 0]
        return x + self.up(states.permute(1, 3, 0, 2))


def skew(maps: Tensor, fill: Tensor) -> Tensor:
    """[.., height, width, k] -> [.., height, width + height - 1, k]: row r moves right by r; gaps are `fill`."""
    *_, height, width, k = maps.shape
    gaps = fill.expand(*maps.shape[:-2], height, k)
    flat = torch.cat([maps, gaps], -2).flatten(-3, -2)
    return flat[..., : height * (width + height - 1), :].unflatten(-2, (height, -1))


def unskew(maps: Tensor) -> Tensor:
    """The inverse of `skew`."""
    *_, height, skewed, _ = maps.shape
    flat = F.pad(maps.flatten(-3, -2), (0, 0, 0, height))
    return flat.unflatten(-2, (height, -1))[..., : skewed - height + 1, :]


class DiagonalWriter:
    """Keeps the row above's states of both directions; the right one's are written once a row is complete."""

    def __init__(self, layer: LSTMLayer, n: int, width: int):
        self.layer, self.width = layer, width
        c = layer.initial[:, None].repeat(1, n, 1)
        self.start = [(c[d : d + 1].tanh(), c[d : d + 1]) for d in range(2)]
        self.gates = c.new_zeros(1, n, width, 4 * layer.h)
        self.left = [self.start[0]] * width
        self.above, self.right = c.new_zeros(2, 1, n, width, layer.h)

    def advance(self, direction: int, gates: Tensor, above: Tensor, before: tuple[Tensor, Tensor]):
        """The state of a pixel from the one above and the one before it, in one direction."""
        state, c = before
        weight = self.layer.state_to_state[direction : direction + 1]
        return self.layer.step(gates, torch.cat([above, state], -1), c, weight)

    def at(self, x: Tensor, column: int) -> Tensor:
        gates, self.gates[0, :, column] = self.layer.input_to_state.at(x).flatten(1).chunk(2, 1)
        before = self.left[column - 1] if column else self.start[0]
        self.left[column] = self.advance(0, gates[None], self.above[:, :, column], before)
        state = self.left[column][0] + self.right[:, :, column]
        return x + self.layer.up(state[0, :, :, None, None])

    def finish_row(self) -> None:
        self.above = torch.stack([state for state, _ in self.left], 2)
        found, before = [], self.start[1]
        for column in reversed(range(self.width)):
            before = self.advance(1, self.gates[:, :, column], self.right[:, :, column], before)
            found.append(before[0])
        self.right = torch.stack(found[::-1], 2)


class DiagonalBiLSTMLayer(LSTMLayer):
    """Lines are diagonals: a state sees the pixel above and the one before it in its row (section 3.2).

    One direction comes from the left, the other from the right; the latter's states move down by a row, as they
    have seen the rest of theirs.
    """

    directions, neighbours, taps, writer = 2, 2, 1, DiagonalWriter

    def near(self, state: Tensor) -> Tensor:
        return torch.cat([F.pad(state, (0, 0, 1, -1)), state], -1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.input_to_state(x).permute(0, 2, 3, 1).chunk(2, -1)
        # o = f = 1 and i = 0 hold a state: every row starts from the initial one
        hold = x.new_tensor([1e4, 1e4, -1e4, 0.0]).to(left.dtype).repeat_interleave(self.h)
        gates = skew(torch.stack([left, right.flip(2)]), hold)
        left, right = unskew(self.scan(gates.permute(3, 0, 1, 2, 4)).permute(1, 2, 3, 0, 4))
        states = left + F.pad(right.flip(2), (0, 0, 0, 0, 1, -1))
        return x + self.up(states.permute(0, 3, 1, 2))


class PixelNetwork(nn.Module):
    """Logits of every sub-pixel's level given the earlier ones (table 1); `layer` is what a subclass is named after.

    h features in the LSTMs and 2h between them; `head` in the two 1x1 layers before the softmax layer.
    """

    layer: type[LSTMLayer]

    def __init__(self, x_shape: tuple, features: int, layers: int, head: int, levels: int = 256):
        super().__init__()
        self.x_shape, self.levels = tuple(x_shape), levels
        channels = x_shape[0]
        colours, wide, top = (colour_groups(n, channels) for n in (channels, 2 * features, head))
        self.first = MaskedConv(colours, wide, (7, 7), "A")
        self.layers = nn.Sequential(*(self.layer(channels, features) for _ in range(layers)))
        maps = [wide, top, top, colours.repeat_interleave(levels)]
        self.head = nn.Sequential()
        for sources, targets in pairwise(maps):
            self.head.extend([nn.ReLU(), MaskedConv(sources, targets, (1, 1), "B")])

    def centred(self, v: Tensor) -> Tensor:
        """Levels in [-1, 1]."""
        return 2 * v.to(self.first.weight.dtype) / (self.levels - 1) - 1

    def forward(self, v: Tensor) -> Tensor:
        """Levels v [batch, channels, height, width] -> logits [batch, height, width, channels, levels]."""
        maps = self.first(self.centred(v).contiguous(memory_format=torch.channels_last))
        return self.head(self.layers(maps)).permute(0, 2, 3, 1).unflatten(-1, (-1, self.levels))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws of v [n, *x_shape], sub-pixel by sub-pixel; each costs a step of every layer at one pixel."""
        channels, height, width = self.x_shape
        v = torch.zeros(n, *self.x_shape, dtype=torch.long, device=self.first.weight.device)
        seen = self.first.weight.new_zeros(n, channels, height + 6, width + 6)
        writers = [layer.writer(layer, n, width) for layer in self.layers]  # type: ignore[operator]
        for row in range(height):
            for column, channel in product(range(width), range(channels)):
                maps = self.first.at(seen[:, :, row : row + 7, column : column + 7])
                for writer in writers:
                    maps = writer.at(maps, column)
                logits = self.head(maps).reshape(n, channels, self.levels)[:, channel]
                drawn = torch.multinomial(logits.softmax(1), 1)[:, 0]
                v[:, channel, row, column] = drawn
                seen[:, channel, row + 3, column + 3] = self.centred(drawn)
            for writer in writers:
                writer.finish_row()
        return v


class RowLSTM(PixelNetwork):
    """Fast, with a triangular context."""

    layer = RowLSTMLayer


class DiagonalBiLSTM(PixelNetwork):
    """Every earlier pixel is context, but for the last of the row above, which mask A hides beyond the 7x7 window."""

    layer = DiagonalBiLSTMLayer


class PixelRNN(Method):
    """Maximum likelihood: min -sum_i log p(v_i | v_1 .. v_{i-1}), a softmax over the levels of each sub-pixel.

    The network sees levels v = floor(x * levels), never the dequantisation noise, so that log_prob is exact in
    training too. `network` is a RowLSTM or a DiagonalBiLSTM.
    """

    paper = "AS-VAE, baselines of tables 1 to 3"
    equations = "van den Oord et al. 2016, 1 to 3"
    player_names = ("model",)
    provides = ("log_prob", "sample")

    def __init__(self, network: PixelNetwork):
        super().__init__()
        self.network = network

    def players(self) -> dict[str, Player]:
        return {"model": Player((self.network,), lambda batch: -self.log_prob(batch.x).mean())}

    def log_prob(self, x: Tensor) -> Tensor:
        """log P(v) [batch], nats, of the levels of x [batch, *x_shape] in [0, 1]."""
        levels = self.network.levels
        v = (x * levels).floor().clamp(0, levels - 1).long()
        wanted = v.permute(0, 2, 3, 1).flatten()
        logits = self.network(v).flatten(0, -2)
        precise = torch.promote_types(logits.dtype, torch.float32)  # sums of 3072 terms are too much for bf16
        losses = F.cross_entropy(logits.to(precise), wanted, reduction="none")
        return -losses.unflatten(0, (len(x), -1)).sum(1)

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n exact draws of x = v / (levels - 1) [n, *x_shape]."""
        return self.network.sample(n).to(device) / (self.network.levels - 1)
