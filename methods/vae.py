"""Variational autoencoder (Kingma & Welling 2014), with any posterior that knows its density.

With a planar flow it is VAE + NF (Rezende & Mohamed 2015), with an inverse autoregressive flow VAE + IAF
(Kingma et al. 2016).
"""

from torch import Tensor, nn

from methods.method import LikelihoodMethod
from methods.networks.decoders import has_standard_prior
from methods.terms import gaussian_kl
from methods.training.game import Batch


class FlowVAE(LikelihoodMethod):
    """-ELBO with log q(z|x) - log p(z) at the draw: any encoder with a density (AVB eq. 2.1)."""

    paper = "AVB, baselines of table 2"
    equations = "AVB 2.1"
    player_names = ("model",)
    needs = {"encoder": ("log_prob",)}
    provides = ("log_weight", "encode", "decoder", "draw")
    correspondence = {
        "name": "VAE with a flow",
        "x": "data, generations",
        "y": "real or generated (degenerated)",
        "z": "code",
        "p(x|y)": "[G] p_theta(x|z,y), decoder",
        "q(y|x)": "[I] q_*(y|x), perfect discriminator (degenerated)",
        "q(z|x,y)": "[I] encoder with a flow",
        "minimises": "KL(q_eta(z|x,y) q_*^r(y|x) || p_theta(z,y|x))",
    }
    relations = {"VAE": "extends"}

    def __init__(self, encoder: nn.Module, decoder: nn.Module, anneal_steps: int = 0):
        super().__init__(anneal_steps)
        self.encoder, self.decoder = encoder, decoder


class VAE(FlowVAE):
    """-ELBO with the KL of a diagonal Gaussian in closed form; by the draw where the decoder's p(z) is not N(0, I)."""

    paper = "AVB, baselines of tables 1 and 2"
    equations = "AVB 2.1"
    player_names = ("model",)
    needs = {"encoder": ("closed_kl",)}
    provides = ("log_weight", "encode", "decoder", "draw")
    correspondence = {
        "x": "data, generations",
        "y": "real or generated (degenerated)",
        "z": "code",
        "p(x|y)": "[G] p_theta(x|z,y), decoder (eq. 18)",
        "q(y|x)": "[I] q_*(y|x), perfect discriminator (degenerated)",
        "q(z|x,y)": "[I] encoder",
        "minimises": "KL(q_eta(z|x,y) q_*^r(y|x) || p_theta(z,y|x))",
    }
    relations = {"WakeSleep": "extends", "InfoGAN": "swaps"}

    def __init__(self, encoder: nn.Module, decoder: nn.Module, anneal_steps: int = 0):
        super().__init__(encoder, decoder, anneal_steps)

    def per_example_loss(self, batch: Batch) -> Tensor:
        if not has_standard_prior(self.decoder):
            return super().per_example_loss(batch)
        q = self.encoder(batch.x)
        kl = gaussian_kl(q.mean, q.stddev)
        return self.beta(batch.step) * kl - self.decoder.log_likelihood(batch.x, q.rsample())
