"""Biadversarial Variational Autoencoder (Fickinger 2019)."""

from math import inf, log
from typing import Literal

import torch
from torch import Tensor, nn

from methods.method import Method
from methods.training.game import Batch, Player

Pair = tuple[Tensor, Tensor]


def exp_below(t: Tensor, ceiling: float) -> Tensor:
    """e^t up to the ceiling, and above it the tangent e^ceiling (1 + t - ceiling), whose gradient is bounded."""
    low = t.clamp(max=ceiling)
    return low.exp() * (1 + t - low)


class BAVAE(Method):
    """Three players: encoder with decoder, and two critics of pairs (x, z), who estimate the ELBO's two divergences.

    Critic z: max V_z = 1 + E_q(x,z) T_z(x, z) - E_p(x)p(z) exp T_z(x, z)                      (eq. 6)
    Critic x: max V_x = 1 + E_q(x,z) T_x(x, z) - E_q(z)p(x'|z) exp T_x(x', z)                  (eq. 14)
    Model:    min V_z + V_x                                                                    (eq. 19)

    In the paper's letters T_z = -D_1 and T_x = D_2 - 1: both are log ratios, and label 1 is the encoder's pair. Best
    critics give V_z = KL(q(z|x) || p(z)) and V_x = KL(q(x,z) || q(z)p(x|z)), where x and z belong together (`joint`);
    eq. 13 puts p(x)q(z) for q(x,z) (`independent`). For a fixed encoder the joint pairs ask the decoder for the
    encoder's p(x|z), the independent ones for p(x) whatever z is; over both networks the joint sum is
    -ELBO - H(x) + I_q(x; z), and its least value too has codes that tell nothing of x (tests/methods/test_bavae.py).

    The exponentials explode for an unlucky critic: above `ceiling` they continue as straight lines, and a critic's own
    gain from positive pairs ends there, without which lines have no best critic. Below it nothing changes; a critic's V
    stays a lower bound of the KL, and below 1 + ceiling. Where a critic wins, exp T and with it the decoder's gradient
    vanish. `bound: donsker-varadhan` puts E T - log E exp T in place of V, another lower bound of the same KL (as MINE,
    Belghazi et al. 2018; of a batch it is biased upwards): it neither overflows nor vanishes, and needs no ceiling.
    """

    paper = "BAVAE"
    equations = "6, 14, 19"
    player_names = ("model", "critic_z", "critic_x")
    provides = ("encode", "sample", "reconstruct")
    correspondence = {
        "x": "data, reconstructions",
        "y": "pair of data and code, or one half replaced",
        "z": "code",
        "p(x|y)": "[G] implicit p_theta(x|z), decoder",
        "q(y|x)": "[G] q_phi(y|x,z), a critic for each divergence",
        "q(z|x,y)": "[I] implicit encoder",
        "minimises": "KL(q_eta(z|x) || p(z)) + KL(q_eta(x|z) || p_theta(x|z))",
    }
    relations = {"AVB": "extends"}

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        critic_z: nn.Module,
        critic_x: nn.Module,
        pairing: Literal["joint", "independent"] = "joint",
        ceiling: float = 1.0,
        bound: Literal["f-gan", "donsker-varadhan"] = "f-gan",
    ):
        super().__init__()
        self.encoder, self.decoder, self.critic_z, self.critic_x = encoder, decoder, critic_z, critic_x
        self.pairing, self.ceiling, self.bound = pairing, ceiling, bound

    def players(self) -> dict[str, Player]:
        return {
            "model": Player((self.encoder, self.decoder), self.model_loss),
            "critic_z": Player((self.critic_z,), self.critic_z_loss),
            "critic_x": Player((self.critic_x,), self.critic_x_loss),
        }

    def value(self, critic: nn.Module, positive: Pair, negative: Pair, most: float = inf) -> Tensor:
        """1 + E T(positive) - E exp T(negative), T(positive) counted up to `most`; or E T - log E exp T, by `bound`.

        With `most` the ceiling, at most KL(positive || negative), and equal where T is the log ratio below it.
        """
        if self.bound == "donsker-varadhan":
            t = critic(*negative)
            return critic(*positive).mean() - (t.logsumexp(0) - log(len(t)))
        return 1 + critic(*positive).clamp(max=most).mean() - exp_below(critic(*negative), self.ceiling).mean()

    def codes(self, x: Tensor, z: Tensor) -> tuple[Pair, Pair]:
        """Eq. 6: the codes z of x, and draws of the prior."""
        return (x, z), (x, self.decoder.sample_prior(x.shape[0], x.device))

    def images(self, x: Tensor, z: Tensor) -> tuple[Pair, Pair]:
        """Eq. 14: data, and draws of the decoder at the codes z."""
        return (x, z if self.pairing == "joint" else z.roll(1, 0)), (self.decoder.generate(z), z)

    def model_loss(self, batch: Batch) -> Tensor:
        """Eq. 19: the critics are fixed, and gradients flow through them into z and the generated x."""
        x, z = batch.x, self.encode(batch.x)
        return self.value(self.critic_z, *self.codes(x, z)) + self.value(self.critic_x, *self.images(x, z))

    def critic_z_loss(self, batch: Batch) -> Tensor:
        """-V_z."""
        with torch.no_grad():  # only the critic moves: no graph through the encoder is needed
            pairs = self.codes(batch.x, self.encode(batch.x))
        return -self.value(self.critic_z, *pairs, most=self.ceiling)

    def critic_x_loss(self, batch: Batch) -> Tensor:
        """-V_x."""
        with torch.no_grad():
            pairs = self.images(batch.x, self.encode(batch.x))
        return -self.value(self.critic_x, *pairs, most=self.ceiling)
