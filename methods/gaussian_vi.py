"""Gaussian variational Bayes for one posterior: automatic differentiation VI (Kucukelbir et al. 2015)."""

from torch import Tensor, nn

from methods.method import LikelihoodMethod
from methods.training.game import Batch


class GaussianVI(LikelihoodMethod):
    """Minimises E_q[-log p(z, y)] - H[q], the entropy in closed form (ADVI eq. 5). No amortisation."""

    paper = "AVB, baselines of figures 3 and 4"
    equations = "ADVI 5"
    player_names = ("model",)
    needs = {"encoder": ("log_density",)}
    provides = ("log_weight", "encode", "log_density")

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def per_example_loss(self, batch: Batch) -> Tensor:
        q = self.encoder(batch.x)
        z = q.rsample()
        return -self.decoder.log_likelihood(batch.x, z) - self.decoder.log_prior(z) - q.entropy()
