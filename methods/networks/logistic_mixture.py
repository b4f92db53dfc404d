"""The output of PixelCNN++: for each pixel a mixture of discretised logistics over its colours (Salimans et al. 2017).

Levels v = 0 .. 255 are scaled to x = v / 127.5 - 1. Where the authors replace masses below 1e-5 by a density, these are
the masses themselves, and sum to 1.
"""

import torch
from torch import Tensor

from methods.terms import softplus

LEVELS = 256
HALF_BIN = 1 / (LEVELS - 1)  # of levels scaled to [-1, 1]


def scaled(v: Tensor) -> Tensor:
    """Levels v as values in [-1, 1]."""
    return v * 2 * HALF_BIN - 1


def levels_of(x: Tensor) -> Tensor:
    """The level 0 .. 255 of values scaled to [-1, 1]."""
    return ((x + 1) / (2 * HALF_BIN)).round().long()


class LogisticMixture:
    """Mixtures of discretised logistics whose means depend on the pixel's earlier colours (section 2.2).

    `numbers` [batch, k, height, width] hold logits, means, log-scales and coefficients; float32 whatever they are.
    """

    def __init__(self, numbers: Tensor, mixtures: int, channels: int):
        k, c = mixtures, channels
        numbers = numbers.to(torch.promote_types(numbers.dtype, torch.float32)).permute(0, 2, 3, 1)
        logits, means, log_scales, rest = numbers.split([k, k * c, k * c, k * c * (c - 1) // 2], -1)
        self.log_weights = logits.log_softmax(-1)
        self.means, self.log_scales = means.unflatten(-1, (c, k)), log_scales.unflatten(-1, (c, k)).clamp_min(-7)
        self.coefficients = rest.tanh().unflatten(-1, (-1, k)) if c > 1 else rest

    def mean(self, colour: int, x: Tensor) -> Tensor:
        """Means [batch, height, width, k] of a colour, given the true earlier ones of x [batch, height, width, c]."""
        first = colour * (colour - 1) // 2
        earlier = (self.coefficients[..., first + j, :] * x[..., j, None] for j in range(colour))
        return self.means[..., colour, :] + sum(earlier)

    def log_masses(self, x: Tensor) -> Tensor:
        """log of each component's mass [batch, height, width, c, k] of the bins of x [batch, height, width, c].

        The bins at the ends reach to infinity. F(b) - F(a) = F(b) F(-a) (1 - e^(a - b)) is stable in both tails.
        """
        means = torch.stack([self.mean(colour, x) for colour in range(x.shape[-1])], -2)
        x, precision = x[..., None], torch.exp(-self.log_scales)
        below = -softplus(-(x + HALF_BIN - means) * precision)
        above = -softplus((x - HALF_BIN - means) * precision)
        inside = below + above + torch.log(-torch.expm1(-2 * HALF_BIN * precision))
        return torch.where(x < -1 + HALF_BIN, below, torch.where(x > 1 - HALF_BIN, above, inside))

    def log_prob(self, x: Tensor) -> Tensor:
        """log P [batch, height, width], nats."""
        return torch.logsumexp(self.log_weights + self.log_masses(x).sum(-2), -1)

    def sample(self) -> Tensor:
        """Draws of x [batch, height, width, c], each the centre of a bin."""
        component = torch.distributions.Categorical(logits=self.log_weights).sample()[..., None]
        x = torch.zeros_like(self.means[..., 0])
        for colour in range(x.shape[-1]):
            mean = self.mean(colour, x).gather(-1, component)[..., 0]
            scale = self.log_scales[..., colour, :].gather(-1, component)[..., 0].exp()
            drawn = mean + scale * torch.logit(torch.rand_like(mean), eps=1e-7)
            x[..., colour] = scaled(levels_of(drawn.clamp(-1, 1)).to(x))
        return x
