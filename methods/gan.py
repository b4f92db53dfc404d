"""Generative adversarial networks (Goodfellow et al. 2014); convolutional ones: DCGAN (Radford et al. 2016)."""

import torch
from torch import Tensor, nn

from methods.game import Batch, Player
from methods.method import Method
from methods.terms import says_one, says_zero


class GAN(Method):
    """Two players: a discriminator (label 1 = real), and a generator with the non-saturating loss."""

    paper = "AS-VAE, baseline of tables 2 and 3"
    equations = "Goodfellow et al. 2014, eq. 1 and section 3"
    player_names = ("discriminator", "generator")
    provides = ("sample",)

    def __init__(self, generator: nn.Module, discriminator: nn.Module):
        super().__init__()
        self.decoder, self.discriminator = generator, discriminator

    def players(self) -> dict[str, Player]:
        return {
            "discriminator": Player((self.discriminator,), self.discriminator_loss),
            "generator": Player((self.decoder,), self.generator_loss),
        }

    def fakes(self, batch: Batch) -> Tensor:
        """G(z), z ~ p(z): as many as the batch has."""
        return self.decoder.generate(self.decoder.sample_prior(len(batch.x), batch.x.device))

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z)))."""
        with torch.no_grad():  # only the discriminator moves
            fakes = self.fakes(batch)
        return says_one(self.discriminator(batch.x)) + says_zero(self.discriminator(fakes))

    def generator_loss(self, batch: Batch) -> Tensor:
        """-E log D(G(z))."""
        return says_one(self.discriminator(self.fakes(batch)))
