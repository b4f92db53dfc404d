"""Hamiltonian variational inference (Salimans, Kingma & Welling 2015)."""

import torch
from torch import Tensor, nn

from methods.method import LikelihoodMethod
from methods.networks.bodies import linear, stack
from methods.terms import diagonal_gaussian, softplus
from methods.training.game import Batch


class MomentumNet(nn.Module):
    """q(v_t|z_{t-1}, x) or r(v'_t|z_t, x): a diagonal Gaussian; the step t enters as a learned vector."""

    def __init__(self, latent_dim: int, features: int, hidden: int, steps: int):
        super().__init__()
        self.join = linear(latent_dim + features, hidden)
        self.step = nn.Parameter(torch.zeros(steps, hidden))
        self.out = nn.Sequential(stack(hidden, [hidden], "softplus"), linear(hidden, 2 * latent_dim, 0.1))

    def forward(self, z: Tensor, h: Tensor, t: int):
        joined = softplus(self.join(torch.cat([z, h], 1)) + self.step[t])
        return diagonal_gaussian(*self.out(joined).chunk(2, 1))


class HamiltonianVI(LikelihoodMethod):
    """A Gaussian encoder followed by `transitions` leapfrog steps on log p(x, z), without an accept step.

    Maximises E[log p(x, z_T) - log q(z_0|x) + sum_t log r(v'_t|z_t, x) - log q(v_t|z_{t-1}, x)]
    (Salimans et al. 2015, eq. 13); each leapfrog step keeps volume, so no Jacobian appears. Step sizes and
    inverse masses are learned, one per transition and dimension.
    """

    paper = "AVB, baselines of table 2"
    equations = "Salimans 13"
    player_names = ("model",)
    needs = {"encoder": ("log_prob",)}
    provides = ("log_weight", "encode", "decoder")
    relations = {"VAE": "extends"}

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        transitions: int = 16,
        hidden: int = 300,
        initial_step: float = 0.05,
        anneal_steps: int = 0,
    ):
        super().__init__(anneal_steps)
        self.encoder, self.decoder, self.transitions = encoder, decoder, transitions
        features: int = encoder.body.out_features  # type: ignore[union-attr, assignment]
        self.forward_momentum = MomentumNet(latent_dim, features, hidden, transitions)
        self.reverse_momentum = MomentumNet(latent_dim, features, hidden, transitions)
        self.log_step = nn.Parameter(torch.full((transitions, latent_dim), initial_step).log())

    def force(self, x: Tensor, z: Tensor) -> Tensor:
        """Gradient of log p(x, z) in z [batch, latent], differentiable again in training."""
        with torch.enable_grad():
            z = z if z.requires_grad else z.detach().requires_grad_()
            log_joint = self.decoder.log_likelihood(x, z) + self.decoder.log_prior(z)
            (grad,) = torch.autograd.grad(log_joint.sum(), z, create_graph=self.training)
        return grad

    def draw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z_T [batch, latent] and log q(z_0|x) + sum_t (log q(v_t) - log r(v'_t)) [batch]."""
        h = self.encoder.body(x)
        q_0 = self.encoder(x)
        z = q_0.rsample()
        log_q = q_0.log_prob(z)
        force = self.force(x, z)
        for t in range(self.transitions):
            eps = self.log_step[t].exp()
            q_v = self.forward_momentum(z, h, t)
            v = q_v.rsample()
            log_q = log_q + q_v.log_prob(v)
            v = v + 0.5 * eps * force
            z = z + eps * v
            force = self.force(x, z)
            v = v + 0.5 * eps * force
            log_q = log_q - self.reverse_momentum(z, h, t).log_prob(v)
        return z, log_q

    def weight_terms(self, batch: Batch) -> tuple[Tensor, Tensor]:
        z, log_q = self.draw(batch.x)
        return self.decoder.log_likelihood(batch.x, z), log_q - self.decoder.log_prior(z)

    def encode(self, x: Tensor) -> Tensor:
        return self.draw(x)[0]
