"""An objective of one's own: a VAE whose KL is pulled to a capacity C (Burgess et al. 2018, beta-VAE, eq. 8)."""

from torch import Tensor, nn

from methods.terms import gaussian_kl
from methods.training.game import Batch
from methods.vae import VAE


class CapacityVAE(VAE):
    """-log p(x|z) + gamma |KL(q(z|x) || p(z)) - C|, with the networks and the bound of a VAE."""

    paper = "Burgess et al. 2018"
    equations = "8"
    player_names = ("model",)

    def __init__(self, encoder: nn.Module, decoder: nn.Module, capacity: float, gamma: float = 1.0):
        super().__init__(encoder, decoder)
        self.capacity, self.gamma = capacity, gamma

    def per_example_loss(self, batch: Batch) -> Tensor:
        q = self.encoder(batch.x)
        kl = gaussian_kl(q.mean, q.stddev)
        return self.gamma * (kl - self.capacity).abs() - self.decoder.log_likelihood(batch.x, q.rsample())
