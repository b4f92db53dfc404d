"""InfoGAN (Chen et al. 2016): a GAN whose generator also lets a third network recover a code."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from methods.method import Method
from methods.networks.bodies import Body, linear
from methods.networks.decoders import LatentModel
from methods.terms import says_one, says_zero
from methods.training.game import Batch, Player


class InfoGAN(Method):
    """Two players, with a code c ~ uniform on `categories` values and noise z ~ N(0, I): x = G(c, z).

    Discriminator: min -E log D(x) - E log(1 - D(G(c, z)))                     (Unifying eq. 15, phi)
    Generator, Q:  min -E log D(G(c, z)) - weight E log Q(c | G(c, z))         (eq. 15, theta and eta)

    Eq. 15 has log Q in phi's objective too, where it is a constant. H(c) + E log Q(c | G(c, z)) bounds the mutual
    information I(c; x) from below (Chen et al., eq. 5). The generator's first `categories` inputs are the one-hot c.
    """

    paper = "Unifying, section 3.2.2"
    equations = "15"
    player_names = ("discriminator", "generator")
    provides = ("sample", "code")
    correspondence = {
        "x": "data, generations",
        "y": "real or generated",
        "z": "code",
        "p(x|y)": "[I] generator (eq. 6)",
        "q(y|x)": "[G] discriminator",
        "q(z|x,y)": "[G] Q, which recovers the code (eq. 15)",
        "minimises": "KL(p_theta(x|y) || q^r(x|z,y))",
    }
    relations = {"GAN": "extends"}

    def __init__(
        self,
        generator: LatentModel,
        discriminator: nn.Module,
        recogniser: Body,
        categories: int = 10,
        weight: float = 1.0,
    ):
        super().__init__()
        if generator.latent_dim < categories:
            raise ValueError(f"latent_dim: {generator.latent_dim} has no room for a code of {categories} categories")
        self.decoder, self.discriminator, self.recogniser = generator, discriminator, recogniser
        self.code = linear(recogniser.out_features, categories)
        self.categories, self.weight = categories, weight

    def players(self) -> dict[str, Player]:
        return {
            "discriminator": Player((self.discriminator,), self.discriminator_loss),
            "generator": Player((self.decoder, self.recogniser, self.code), self.generator_loss),
        }

    def sample_prior(self, n: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """n draws of the noise z [n, latent - categories] and of the code c [n], integers."""
        c = torch.randint(self.categories, (n,), device=device)
        return self.decoder.sample_prior(n, device)[:, self.categories :], c

    def generate(self, z: Tensor, c: Tensor) -> Tensor:
        """G(c, z) [batch, *x_shape]."""
        return self.decoder.generate(torch.cat([one_hot(c, self.categories).to(z.dtype), z], 1))

    def code_logits(self, x: Tensor) -> Tensor:
        """log Q(c|x) up to a constant [batch, categories]."""
        return self.code(self.recogniser(x))

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n images [n, *x_shape] of random codes."""
        return self.generate(*self.sample_prior(n, device)).clamp(0, 1)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """Eq. 15 for phi, without its constant."""
        with torch.no_grad():  # only the discriminator moves
            fakes = self.generate(*self.sample_prior(len(batch.x), batch.x.device))
        return says_one(self.discriminator(batch.x)) + says_zero(self.discriminator(fakes))

    def generator_loss(self, batch: Batch) -> Tensor:
        """Eq. 15 for theta and eta, unsaturated (eq. 7)."""
        z, c = self.sample_prior(len(batch.x), batch.x.device)
        fakes = self.generate(z, c)
        return says_one(self.discriminator(fakes)) + self.weight * cross_entropy(self.code_logits(fakes), c)
