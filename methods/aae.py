"""Adversarial autoencoder (Makhzani et al. 2015; AVB section 6.2)."""

from torch import Tensor, nn

from methods.method import Method
from methods.terms import says_one, says_zero
from methods.training.game import Batch, Player


class AAE(Method):
    """Three players: reconstruction, an adversary that sees z only, and the encoder that fools it.

    Makhzani labels the prior 1; here label 1 = encoder sample (AVB eq. 6.3), so the encoder wants "zero".
    At the optimum T(z) = log q(z) - log p(z) with the aggregated posterior q(z) (eq. 6.4).
    """

    paper = "AVB, section 6.2"
    equations = "AVB 6.3, 6.4"
    player_names = ("reconstruction", "adversary", "encoder")
    provides = ("encode", "decoder")
    correspondence = {
        "x": "data",
        "y": "code of the prior or of data",
        "z": "code, of the prior or encoded",
        "p(x|y)": "[G] p_theta(x|z,y), decoder",
        "q(y|x)": "[G] q_phi(y|z), discriminator of codes",
        "q(z|x,y)": "[I] q_eta(z|y), encoder (eq. 33)",
        "minimises": "KL(q_eta(z|y) || q^r(z|x,y))",
    }
    relations = {"InfoGAN": "swaps", "PredictabilityMinimisation": "specialises"}

    def __init__(self, encoder: nn.Module, decoder: nn.Module, adversary: nn.Module):
        super().__init__()
        self.encoder, self.decoder, self.adversary = encoder, decoder, adversary

    def players(self) -> dict[str, Player]:
        return {
            "reconstruction": Player((self.encoder, self.decoder), self.reconstruction_loss),
            "adversary": Player((self.adversary,), self.adversary_loss),
            "encoder": Player((self.encoder,), self.encoder_loss),
        }

    def reconstruction_loss(self, batch: Batch) -> Tensor:
        """E -log p(x|z), z ~ q(z|x)."""
        return -self.decoder.log_likelihood(batch.x, self.encode(batch.x)).mean()

    def adversary_loss(self, batch: Batch) -> Tensor:
        """Eq. 6.3: aggregated posterior against prior."""
        z = self.encode(batch.x)
        z_p = self.decoder.sample_prior(len(z), z.device)
        return says_one(self.adversary(batch.x, z)) + says_zero(self.adversary(batch.x, z_p))

    def encoder_loss(self, batch: Batch) -> Tensor:
        """The encoder's codes should look like the prior's."""
        return says_zero(self.adversary(batch.x, self.encode(batch.x)))
