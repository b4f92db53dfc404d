"""Adversarially Learned Inference (Dumoulin et al. 2017); with a deterministic encoder, BiGAN (Donahue et al. 2017)."""

from torch import Tensor, nn

from methods.method import Method
from methods.terms import says_one, says_zero
from methods.training.game import Batch, Player


class ALI(Method):
    """Two players: a discriminator of pairs, and encoder with decoder, who swap its labels (AS-VAE eqs 3, 4).

    Label 1 = encoder pair (x, z ~ q(z|x)), 0 = decoder pair (G(z), z); f* = log q(x, z) - log p(x, z). Both players'
    gradients are taken at the same point (`simultaneous`), as in the authors' code.
    """

    paper = "AS-VAE, baseline of table 2 and figure 3"
    equations = "AS-VAE 3, 4"
    player_names = ("model", "discriminator")
    provides = ("encode", "sample", "reconstruct")
    correspondence = {
        "x": "data, generations",
        "y": "pair of the encoder or of the decoder",
        "z": "code",
        "p(x|y)": "[I] p_theta(x|z), generator",
        "q(y|x)": "[G] q_phi(y|x,z), discriminator of pairs",
        "q(z|x,y)": "[I] encoder",
        "minimises": "KL(p_theta(x,z) || q_eta(x,z)) for the generator, KL(q_eta(x,z) || p_theta(x,z)) for the encoder",
    }
    relations = {"GAN": "extends"}

    def __init__(self, encoder: nn.Module, decoder: nn.Module, discriminator: nn.Module):
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator

    def players(self) -> dict[str, Player]:
        return {
            "model": Player((self.encoder, self.decoder), self.model_loss),
            "discriminator": Player((self.discriminator,), self.discriminator_loss),
        }

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """f of encoder pairs and of decoder pairs, each [batch]."""
        z_p = self.decoder.sample_prior(len(batch.x), batch.x.device)
        z_q = self.encoder(batch.x).rsample()
        return self.discriminator(batch.x, z_q), self.discriminator(self.decoder.generate(z_p), z_p)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """Eq. 3 as a loss."""
        f_q, f_p = self.logits(batch)
        return says_one(f_q) + says_zero(f_p)

    def model_loss(self, batch: Batch) -> Tensor:
        """Non-saturating: the labels swapped."""
        f_q, f_p = self.logits(batch)
        return says_zero(f_q) + says_one(f_p)
