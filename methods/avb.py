"""Adversarial Variational Bayes (Mescheder, Nowozin & Geiger 2017)."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from methods.method import Method
from methods.networks.encoders import EVALUATION_POOL
from methods.terms import annealed, log_normal, says_one, says_zero
from methods.training.game import Batch, Player


@dataclass(frozen=True)
class Reference:
    """r(z|x) = N(mean, diag variance): the density that the adversary contrasts q(z|x) with."""

    mean: Tensor
    variance: Tensor

    def normalise(self, z: Tensor) -> Tensor:
        """z~ = (z - mean) / sd, which under r is N(0, I) (eq. 4.3)."""
        return (z - self.mean) / self.variance.sqrt()

    def log_prob(self, z: Tensor) -> Tensor:
        """log r(z|x) [batch], nats."""
        return log_normal(z, self.mean, self.variance)


class PriorContrast:
    """r(z|x) = N(0, I), which is the prior of section 3; of another p(z) the losses hold too."""

    def __call__(self, q) -> Reference:
        return Reference(torch.tensor(0.0), torch.tensor(1.0))


class AdaptiveContrast:
    """r(z|x) has the mean and variance of q(z|x), taken as constants: section 4."""

    def __call__(self, q) -> Reference:
        with torch.no_grad():  # the moments are constants of the game
            return Reference(q.mean, q.variance + 1e-4)  # 1e-4: the authors' floor


class Divergence(Protocol):
    """How the adversary is trained, and what its output says of KL(q || r)."""

    def loss(self, t_q: Tensor, t_r: Tensor) -> Tensor: ...

    def kl(self, t_q: Tensor, t_r: Tensor) -> Tensor: ...


class JensenShannon:
    """Logistic regression: T* = log q(z|x) - log r(z|x) (eqs 3.3, 3.4)."""

    def loss(self, t_q: Tensor, t_r: Tensor) -> Tensor:
        return says_one(t_q) + says_zero(t_r)

    def kl(self, t_q: Tensor, t_r: Tensor) -> Tensor:
        return t_q


class ReverseKL:
    """f-GAN: E_r exp(T - 1) - E_q T, T* = 1 + log q(z|x) - log r(z|x) (eq. 6.10). The offset of 1 matters."""

    def loss(self, t_q: Tensor, t_r: Tensor) -> Tensor:
        # beyond 20, exp would swamp the minibatch: the gradient stops there
        return (t_r.clamp(max=20) - 1).exp().mean() - t_q.mean()

    def kl(self, t_q: Tensor, t_r: Tensor) -> Tensor:
        return t_q - (t_r.clamp(max=20) - 1).exp()


class AVB(Method):
    """Two players (Algorithm 1): an adversary T(x, z), and the model of encoder and decoder.

    Adversary: min -E_q log sigmoid(T(x, z~)) - E_N(0,I) log(1 - sigmoid(T(x, z~)))    (eq. 3.3)
    Model:     min E_q[T(x, z~) + log r(z|x) - log p(x, z)]                            (eqs 3.7, 4.2)

    With the prior N(0, I) as contrast, log r - log p(z) vanishes and z~ = z. Label 1 = encoder sample. A `decoder`
    that is a fixed posterior makes this variational Bayes for that posterior (section 5.1).
    """

    paper = "AVB"
    equations = "3.3, 3.7, 4.2, 6.10"
    player_names = ("model", "adversary")
    provides = ("elbo_estimate", "encode", "decoder")
    correspondence = {
        "x": "data",
        "y": "code of the encoder or of the contrast",
        "z": "code",
        "p(x|y)": "[G] p_theta(x|z), decoder",
        "q(y|x)": "[G] q_phi(y|x,z), adversary, for log q_eta(z|x) - log p(z)",
        "q(z|x,y)": "[I] implicit encoder",
        "minimises": "KL(p_data(x) q_eta(z|x) || p_theta(x,z))",
    }
    relations = {"VAE": "extends"}

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        adversary: nn.Module,
        contrast: PriorContrast | AdaptiveContrast,
        divergence: JensenShannon | ReverseKL,
        adversary_steps: int = 1,
        anneal_steps: int = 0,
    ):
        super().__init__()
        self.encoder, self.decoder, self.adversary = encoder, decoder, adversary
        self.contrast, self.divergence = contrast, divergence
        self.adversary_steps, self.anneal_steps = adversary_steps, anneal_steps

    def players(self) -> dict[str, Player]:
        return {
            "model": Player((self.encoder, self.decoder), self.model_loss),
            "adversary": Player((self.adversary,), self.adversary_loss, steps=self.adversary_steps),
        }

    def adversary_loss(self, batch: Batch) -> Tensor:
        """Eq. 3.3 (or 6.10), q(z|x) against r(z|x), both normalised by r."""
        with torch.no_grad():  # only the adversary moves: no graph through the encoder is needed
            q = self.encoder(batch.x)
            z = self.contrast(q).normalise(q.rsample())
        return self.divergence.loss(self.adversary(batch.x, z), self.adversary(batch.x, torch.randn_like(z)))

    def model_loss(self, batch: Batch) -> Tensor:
        """Eqs 3.7 and 4.2: T is fixed, and gradients flow through it into z."""
        q = self.encoder(batch.x)
        z = q.rsample()
        r = self.contrast(q)
        kl = self.adversary(batch.x, r.normalise(z)) + r.log_prob(z) - self.decoder.log_prior(z)
        beta = annealed(batch.step, self.anneal_steps)
        return (beta * kl - self.decoder.log_likelihood(batch.x, z)).mean()

    def elbo_estimate(self, batch: Batch, draws: int = 1) -> Tensor:
        """log p(x, z) - log r(z|x) - KL(q || r) by the adversary, mean over `draws` draws of z [batch], nats.

        Too high if T is under-trained, and by `pool_bias`. The moments of q are taken once for all draws.
        """
        q = self.encoder(batch.x)
        r = self.contrast(q)
        codes = q.rsample((draws,))
        x, z = batch.x.repeat(draws, *(1 for _ in batch.x.shape[1:])), codes.flatten(0, 1)
        t_q = self.adversary(x, r.normalise(codes).flatten(0, 1))
        t_r = self.adversary(x, torch.randn_like(z))
        kl = self.divergence.kl(t_q, t_r) + r.log_prob(codes).flatten() - self.decoder.log_prior(z)
        return (self.decoder.log_likelihood(x, z) - kl).reshape(draws, -1).mean(0)

    def pool_bias(self, latent_dim: int) -> float:
        """By how much moments of a finite pool raise `elbo_estimate`, nats: 1/pool a dimension (Gaussian q).

        T sees z normalised by the moments of many pools and says one KL for all of them: it misses how far each pool's
        r^ is from q, which log r^(z|x) holds.
        """
        return latent_dim / EVALUATION_POOL if isinstance(self.contrast, AdaptiveContrast) else 0.0
