"""Wasserstein GAN (Arjovsky et al. 2017) and mixtures of its players, MIX + WGAN (Arora et al. 2017)."""

import torch
from torch import Tensor, nn

from methods.method import Method
from methods.training.game import Batch, Player


def clip(module: nn.Module, bound: float) -> None:
    """Every parameter into [-bound, bound], batch norm's included, as in the authors' code."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.clamp_(-bound, bound)


class WGAN(Method):
    """A critic who maximises E c(x) - E c(G(z)) with clipped weights, and a generator who maximises E c(G(z)).

    (The authors' code has both signs the other way round.) The critic moves `critic_steps` times a round, and
    `extra_steps` times in the first 25 rounds and in every 500th.
    """

    paper = "AS-VAE, baseline of table 2"
    equations = "Arjovsky et al. 2017, algorithm 1"
    player_names = ("critic", "generator")
    provides = ("sample",)
    relations = {"GAN": "extends"}

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        bound: float = 0.01,
        critic_steps: int = 5,
        extra_steps: int = 100,
    ):
        super().__init__()
        self.decoder, self.critic, self.bound = generator, critic, bound
        self.critic_steps, self.extra_steps = critic_steps, extra_steps
        self.clip()

    def players(self) -> dict[str, Player]:
        return {
            "critic": Player((self.critic,), self.critic_loss, steps=self.moves, after_step=self.clip),
            "generator": Player((self.decoder,), self.generator_loss),
        }

    def moves(self, step: int) -> int:
        """The critic's moves in round `step`."""
        return self.extra_steps if step < 25 or step % 500 == 0 else self.critic_steps

    def clip(self) -> None:
        """After each move, and once at the start: the authors clip before each."""
        clip(self.critic, self.bound)

    def fakes(self, batch: Batch) -> Tensor:
        """G(z), z ~ p(z): as many as the batch has."""
        return self.decoder.generate(self.decoder.sample_prior(len(batch.x), batch.x.device))

    def critic_loss(self, batch: Batch) -> Tensor:
        """E c(G(z)) - E c(x)."""
        with torch.no_grad():
            fakes = self.fakes(batch)
        return self.critic(fakes).mean() - self.critic(batch.x).mean()

    def generator_loss(self, batch: Batch) -> Tensor:
        """-E c(G(z))."""
        return -self.critic(self.fakes(batch)).mean()


class MixtureWeights(nn.Module):
    """softmax of learned logits, and the penalty R(w) = -mean log w, least at equal weights."""

    def __init__(self, n: int):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(n))

    def forward(self) -> Tensor:
        return self.logits.softmax(0)

    def penalty(self) -> Tensor:
        """R(w), nats."""
        return -self.logits.log_softmax(0).mean()


class MixWGAN(Method):
    """T generators and T critics with learned mixture weights: payoff sum_ij w_i v_j (E c_j(x) - E c_j(G_i(z)))."""

    paper = "AS-VAE, baseline of table 2"
    equations = "Arora et al. 2017, section 6"
    player_names = ("critics", "generators")
    provides = ("sample",)
    relations = {"WGAN": "extends"}

    def __init__(
        self,
        generators: nn.ModuleList,
        critics: nn.ModuleList,
        entropy_weight: float = 0.1,
        bound: float = 0.01,
        critic_steps: int = 5,
    ):
        super().__init__()
        self.generators, self.critics = generators, critics
        self.w, self.v = MixtureWeights(len(generators)), MixtureWeights(len(critics))
        self.entropy_weight, self.bound, self.critic_steps = entropy_weight, bound, critic_steps
        clip(self.critics, bound)

    def players(self) -> dict[str, Player]:
        def clip_critics() -> None:  # the mixture weights are no critic's
            clip(self.critics, self.bound)

        return {
            "critics": Player((self.critics, self.v), self.critics_loss, self.critic_steps, clip_critics),
            "generators": Player((self.generators, self.w), self.generators_loss),
        }

    def fakes(self, batch: Batch) -> list[Tensor]:
        """G_i(z) of each generator, as many as the batch has."""
        n, device = len(batch.x), batch.x.device
        return [g.generate(g.sample_prior(n, device)) for g in self.generators]  # type: ignore[operator]

    def payoff(self, x: Tensor, fakes: list[Tensor]) -> Tensor:
        """The critics' expected payoff under both mixtures (a scalar)."""
        real = torch.stack([c(x).mean() for c in self.critics])
        fake = torch.stack([torch.stack([c(g).mean() for c in self.critics]) for g in fakes])
        return self.w() @ (real - fake) @ self.v()

    def critics_loss(self, batch: Batch) -> Tensor:
        """Minus the payoff, and the penalty that keeps every critic in play."""
        with torch.no_grad():
            fakes = self.fakes(batch)
        return self.entropy_weight * self.v.penalty() - self.payoff(batch.x, fakes)

    def generators_loss(self, batch: Batch) -> Tensor:
        """The payoff, and the penalty that keeps every generator in play."""
        return self.payoff(batch.x, self.fakes(batch)) + self.entropy_weight * self.w.penalty()

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """Images of generators drawn by their weights."""
        chosen = torch.multinomial(self.w(), n, replacement=True).tolist()
        parts = [self.generators[i] for i in chosen]
        return torch.cat([g.mean(g.sample_prior(1, device)) for g in parts])  # type: ignore[operator]
