"""VAE/GAN (Larsen et al. 2016): a VAE that measures its reconstructions in a discriminator's features."""

import torch
from torch import Tensor, nn

from methods.method import Method
from methods.networks.critics import ImageCritic
from methods.networks.decoders import LatentModel, has_standard_prior
from methods.terms import gaussian_kl, says_one, says_zero
from methods.training.game import Batch, Player


class VAEGAN(Method):
    """Three players (Larsen et al., Algorithm 1). F(x) are the features below the discriminator's logit.

    L_feat = E 0.5 |F(x) - F(G(z))|^2, z ~ q(z|x): -log N(F(x); F(G(z)), I) up to a constant
    Encoder:       min KL(q(z|x) || p(z)) + L_feat
    Decoder:       min gamma L_feat - E log D(G(z_p)) - E log D(G(z))          z_p ~ p(z)
    Discriminator: min -E log D(x) - E log(1 - D(G(z_p))) - E log(1 - D(G(z)))

    Nothing trains F to make L_feat small: it is no term of the discriminator's loss. Fakes count as real for the
    decoder (the unsaturated loss, Unifying eq. 7), where Larsen et al. negate the discriminator's loss.
    """

    paper = "Unifying, section 3.4.1"
    equations = "Larsen et al. 2016, Algorithm 1"
    player_names = ("encoder", "decoder", "discriminator")
    needs = {"encoder": ("closed_kl",)}
    provides = ("encode", "sample", "reconstruct")
    correspondence = {
        "name": "VAE/GAN",
        "x": "data, generations",
        "y": "real or generated",
        "z": "code",
        "p(x|y)": "[G] and [I] decoder, which is the generator",
        "q(y|x)": "[G] discriminator",
        "q(z|x,y)": "[I] encoder",
        "minimises": "VAE's KL(q_eta(z|x,y) q_*^r(y|x) || p_theta(z,y|x)) + GAN's KL(p_theta(x|y) || q^r(x|y))",
    }
    relations = {"VAE": "combines", "GAN": "combines"}

    def __init__(self, encoder: nn.Module, generator: LatentModel, discriminator: ImageCritic, gamma: float = 0.01):
        super().__init__()
        self.encoder, self.decoder, self.discriminator, self.gamma = encoder, generator, discriminator, gamma

    def players(self) -> dict[str, Player]:
        return {
            "encoder": Player((self.encoder,), self.encoder_loss),
            "decoder": Player((self.decoder,), self.decoder_loss),
            "discriminator": Player((self.discriminator,), self.discriminator_loss),
        }

    def feature_loss(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """L_feat: summed over features, mean over the batch."""
        difference = self.discriminator.body(x) - self.discriminator.body(reconstruction)
        return 0.5 * difference.square().flatten(1).sum(1).mean()

    def encoder_loss(self, batch: Batch) -> Tensor:
        """KL + L_feat; the KL by the draw of z where p(z) is not N(0, I)."""
        q = self.encoder(batch.x)
        kl, z = gaussian_kl(q.mean, q.stddev), q.rsample()
        if not has_standard_prior(self.decoder):
            kl = q.log_prob(z) - self.decoder.log_prior(z)
        return kl.mean() + self.feature_loss(batch.x, self.decoder.generate(z))

    def fakes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """G(z), z ~ q(z|x), and G(z_p), z_p ~ p(z)."""
        z_p = self.decoder.sample_prior(len(batch.x), batch.x.device)
        return self.decoder.generate(self.encode(batch.x)), self.decoder.generate(z_p)

    def decoder_loss(self, batch: Batch) -> Tensor:
        """gamma L_feat, and both kinds of fakes should look real."""
        reconstructed, sampled = self.fakes(batch)
        adversarial = says_one(self.discriminator(reconstructed)) + says_one(self.discriminator(sampled))
        return self.gamma * self.feature_loss(batch.x, reconstructed) + adversarial

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """Data against both kinds of fakes."""
        with torch.no_grad():  # only the discriminator moves
            reconstructed, sampled = self.fakes(batch)
        fakes = says_zero(self.discriminator(reconstructed)) + says_zero(self.discriminator(sampled))
        return says_one(self.discriminator(batch.x)) + fakes
