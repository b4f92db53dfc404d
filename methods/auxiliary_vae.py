"""Auxiliary VAE (Maaloe et al. 2016): q(z|x) as a mixture over an auxiliary variable a."""

import torch
from torch import Tensor, nn

from methods.method import LikelihoodMethod
from methods.networks.bodies import Body, linear, stack
from methods.terms import diagonal_gaussian


class AuxiliaryPosterior(nn.Module):
    """q(a|x), q(z|a, x) and r(a|x, z), all diagonal Gaussians on the features of one body."""

    provides = ("auxiliary",)

    def __init__(self, latent_dim: int, body: Body, auxiliary_dim: int = 100, hidden: int = 300):
        super().__init__()
        n, small = body.out_features, 0.1  # softplus features are large: a full start gives log-scales that overflow
        self.body = body
        self.a = linear(n, 2 * auxiliary_dim, small)
        self.z = nn.Sequential(stack(n + auxiliary_dim, [hidden], "softplus"), linear(hidden, 2 * latent_dim, small))
        self.r = nn.Sequential(stack(n + latent_dim, [hidden], "softplus"), linear(hidden, 2 * auxiliary_dim, small))

    def forward(self, x: Tensor) -> "_Draw":
        return _Draw(self, self.body(x))


class _Draw:
    """z ~ q(z|x) by way of a; `rsample_with_log_prob` gives log q(z, a|x) - log r(a|x, z)."""

    def __init__(self, net: AuxiliaryPosterior, features: Tensor):
        self._net, self._features = net, features

    def rsample_with_log_prob(self) -> tuple[Tensor, Tensor]:
        h = self._features
        q_a = diagonal_gaussian(*self._net.a(h).chunk(2, 1))
        a = q_a.rsample()
        q_z = diagonal_gaussian(*self._net.z(torch.cat([h, a], 1)).chunk(2, 1))
        z = q_z.rsample()
        r_a = diagonal_gaussian(*self._net.r(torch.cat([h, z], 1)).chunk(2, 1))
        return z, q_z.log_prob(z) + q_a.log_prob(a) - r_a.log_prob(a)

    def rsample(self) -> Tensor:
        return self.rsample_with_log_prob()[0]


class AuxiliaryVAE(LikelihoodMethod):
    """-E[log p(x|z) + log p(z) + log r(a|x, z) - log q(a|x) - log q(z|a, x)] (Maaloe et al. 2016, eq. 5)."""

    paper = "AVB, baselines of table 2"
    equations = "Maaloe 5"
    player_names = ("model",)
    needs = {"encoder": ("auxiliary",)}
    provides = ("log_weight", "encode", "decoder")
    relations = {"VAE": "extends"}

    def __init__(self, encoder: nn.Module, decoder: nn.Module, anneal_steps: int = 0):
        super().__init__(anneal_steps)
        self.encoder, self.decoder = encoder, decoder
