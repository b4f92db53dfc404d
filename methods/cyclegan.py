"""CycleGAN (Zhu et al. 2017): two translators between image domains without pairs."""

from typing import Literal

import torch
from torch import Tensor, nn

from methods.domain_adaptation import split_domains
from methods.method import Method
from methods.networks.bodies import LAYOUT, activation_named, xavier
from methods.training.game import Batch, Player


def off(score: Tensor, label: float) -> Tensor:
    """Mean squared distance of the scores from the label."""
    return (score - label).square().mean()


class ConvTranslator(nn.Module):
    """Image [batch, *x_shape] -> image of the same shape in (0, 1): residual blocks at full resolution."""

    def __init__(self, x_shape: tuple, channels: int = 32, blocks: int = 2, kernel: int = 3, activation: str = "relu"):
        super().__init__()

        def convolution(n_in: int, n_out: int) -> nn.Conv2d:
            return xavier(nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2))

        def block() -> nn.Sequential:
            layers = (activation_named(activation), convolution(channels, channels))
            return nn.Sequential(*layers, activation_named(activation), convolution(channels, channels))

        self.first, self.last = convolution(x_shape[0], channels), convolution(channels, x_shape[0])
        self.blocks = nn.ModuleList(block() for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first((2 * x - 1).contiguous(memory_format=LAYOUT))
        for block in self.blocks:
            h = h + block(h)
        return torch.sigmoid(self.last(h))


class CycleGAN(Method):
    """Three players: both translators, T to the target and S to the source, and a critic for each domain.

    Translators: min E_a (D_t(T(a)) - 1)^2 + E_b (D_s(S(b)) - 1)^2
                     + weight [E |S(T(a)) - a|_1 + E |T(S(b)) - b|_1]                            (Zhu et al. eqs 1-3)
    Critics:     min E_b (D_t(b) - 1)^2 + E_a D_t(T(a))^2, and the same for D_s                  (least squares)

    a are source images, b target images; |.|_1 is a mean over pixels, as in the authors' code. The paper reads the
    first cycle with D_t as the AAE of eq. 35 (T encodes, S decodes, and D_t sees codes that are images), the second
    one with D_s as the InfoGAN of eq. 15 (S generates, T recovers the code).
    """

    paper = "Unifying, section 3.2.3"
    equations = "15, 35; Zhu et al. 2017, eqs 1-3"
    player_names = ("translators", "critic_target", "critic_source")
    provides = ("translate",)
    correspondence = {
        "x": "images of one domain",
        "y": "real or translated",
        "z": "images of the other domain",
        "p(x|y)": "[I] translator z to x; [G] in the other cycle",
        "q(y|x)": "[G] a critic for each domain",
        "q(z|x,y)": "[G] translator x to z; [I] in the other cycle",
        "minimises": "InfoGAN's KL(p_theta(x|y) || q^r(x|z,y)) + AAE's KL(q_eta(z|y) || q^r(z|x,y))",
    }
    relations = {"InfoGAN": "combines", "AAE": "combines"}

    def __init__(
        self,
        to_target: nn.Module,
        to_source: nn.Module,
        critic_target: nn.Module,
        critic_source: nn.Module,
        weight: float = 10.0,
    ):
        super().__init__()
        self.to_target, self.to_source = to_target, to_source
        self.critic_target, self.critic_source, self.weight = critic_target, critic_source, weight

    def players(self) -> dict[str, Player]:
        return {
            "translators": Player((self.to_target, self.to_source), self.translators_loss),
            "critic_target": Player((self.critic_target,), self.critic_target_loss),
            "critic_source": Player((self.critic_source,), self.critic_source_loss),
        }

    def translate(self, x: Tensor, to: Literal["target", "source"]) -> Tensor:
        """Images of the other domain in the domain `to` [batch, *x_shape]."""
        return {"target": self.to_target, "source": self.to_source}[to](x)

    def translators_loss(self, batch: Batch) -> Tensor:
        """Translations look real, and cycles return."""
        a, _, b = split_domains(batch)
        in_target, in_source = self.to_target(a), self.to_source(b)
        realism = off(self.critic_target(in_target), 1.0) + off(self.critic_source(in_source), 1.0)
        cycles = (self.to_source(in_target) - a).abs().mean() + (self.to_target(in_source) - b).abs().mean()
        return realism + self.weight * cycles

    def critic_target_loss(self, batch: Batch) -> Tensor:
        """Target images 1, translated source images 0."""
        a, _, b = split_domains(batch)
        with torch.no_grad():  # only the critic moves
            translated = self.to_target(a)
        return off(self.critic_target(b), 1.0) + off(self.critic_target(translated), 0.0)

    def critic_source_loss(self, batch: Batch) -> Tensor:
        """Source images 1, translated target images 0."""
        a, _, b = split_domains(batch)
        with torch.no_grad():  # only the critic moves
            translated = self.to_source(b)
        return off(self.critic_source(a), 1.0) + off(self.critic_source(translated), 0.0)
