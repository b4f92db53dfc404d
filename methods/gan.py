"""Generative adversarial networks: of images, given their class, and with importance weights (IWGAN).

Goodfellow et al. 2014; convolutional ones: DCGAN (Radford et al. 2016); given a class: Mirza & Osindero 2014;
importance weights: Hu et al. 2018, section 4.
"""

import torch
from torch import Tensor, nn

from methods.labels import need_labels, random_labels, with_label
from methods.method import Method
from methods.terms import says_one, says_zero, softplus
from methods.training.game import Batch, Player


class EqualWeights(nn.Module):
    """1/k for each of the k generated images: the plain GAN."""

    def forward(self, logits: Tensor) -> Tensor:
        return torch.full_like(logits, 1 / len(logits))


class ImportanceWeights(nn.Module):
    """w_i proportional to q^r(y=0|x_i) / q(y=0|x_i) = D(x_i) / (1 - D(x_i)) = exp(logit_i) (Unifying eqs 22, 44, 47).

    The weights of a minibatch sum to one and are constants for the generator, hence the stop-gradient.
    """

    correspondence = {
        "name": "IWGAN",
        "x": "data, generations",
        "y": "real or generated",
        "z": "code",
        "p(x|y)": "[I] generator (eq. 6)",
        "q(y|x)": "[G] discriminator",
        "q(z|x,y)": "–",
        "minimises": "KL(p_theta(x|y) || q^r(x|y)), tightened by k weighted samples (eq. 40)",
    }
    relations = {"GAN": "weights"}

    def forward(self, logits: Tensor) -> Tensor:
        return logits.detach().softmax(0)


class GAN(Method):
    """Two players: a discriminator (label 1 = real), and a generator with the non-saturating loss.

    Discriminator: min -E log D(x) - E log(1 - D(G(z)))
    Generator:     min -sum_i w_i log D(G(z_i)), w_i = 1/k (GAN) or importance weights (IWGAN)
    """

    paper = "Unifying, table 2; AS-VAE, baseline of tables 2 and 3"
    equations = "Goodfellow et al. 2014, eq. 1 and section 3; Unifying 4 to 7, IW: 22"
    player_names = ("discriminator", "generator")
    provides = ("sample",)
    correspondence = {
        "x": "data, generations",
        "y": "real or generated",
        "z": "code",
        "p(x|y)": "[I] generator (eq. 6)",
        "q(y|x)": "[G] discriminator",
        "q(z|x,y)": "–",
        "minimises": "KL(p_theta(x|y) || q^r(x|y))",
    }
    relations = {"WakeSleep": "extends", "ADA": "specialises", "VAE": "swaps"}

    def __init__(self, generator: nn.Module, discriminator: nn.Module, weighting: nn.Module):
        super().__init__()
        self.decoder, self.discriminator, self.weighting = generator, discriminator, weighting
        self.classes = 0

    def players(self) -> dict[str, Player]:
        return {
            "discriminator": Player((self.discriminator,), self.discriminator_loss),
            "generator": Player((self.decoder,), self.generator_loss),
        }

    def generate(self, n: int, y: Tensor | None, device: torch.device | str) -> Tensor:
        """G(z, y) [n, *x_shape], z ~ p(z)."""
        return self.decoder.generate(with_label(self.decoder.sample_prior(n, device), y, self.classes))

    def fakes(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """As many generated images as the batch has, and their classes, drawn uniformly."""
        y = random_labels(len(batch.x), self.classes, batch.x.device)
        return self.generate(len(batch.x), y, batch.x.device), y

    def logits(self, x: Tensor, y: Tensor | None) -> Tensor:
        """log D/(1 - D) [batch] of images, with their classes where the method has some."""
        return self.discriminator(with_label(x, y, self.classes))

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z)))."""
        with torch.no_grad():  # only the discriminator moves
            fakes, y = self.fakes(batch)
        return says_one(self.logits(batch.x, batch.y)) + says_zero(self.logits(fakes, y))

    def generator_loss(self, batch: Batch) -> Tensor:
        """-sum_i w_i log D(G(z_i))."""
        logits = self.logits(*self.fakes(batch))
        return (self.weighting(logits) * softplus(-logits)).sum()

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n images [n, *x_shape], of random classes where there are some."""
        return self.generate(n, random_labels(n, self.classes, device), device).clamp(0, 1)


class CGAN(GAN):
    """The same game where both players are told the class; of generated images it is drawn uniformly."""

    paper = "Unifying, table 2"
    equations = "Mirza & Osindero 2014, eq. 2; Unifying, IW: 22"
    conditional = ("generator", "discriminator")
    provides = ("sample", "sample_class")
    correspondence = {
        "x": "data, generations",
        "y": "real or generated",
        "z": "code, and the class c",
        "p(x|y)": "[I] p_theta(x|y,c), generator",
        "q(y|x)": "[G] q_phi(y|x,c), discriminator",
        "q(z|x,y)": "–",
        "minimises": "KL(p_theta(x|y,c) || q^r(x|y,c))",
    }
    relations = {"GAN": "extends"}

    def __init__(self, generator: nn.Module, discriminator: nn.Module, weighting: nn.Module, classes: int = 10):
        super().__init__(generator, discriminator, weighting)
        self.classes = classes

    def initialise(self, batch: Batch) -> None:
        """ValueError if the first batch is not labelled."""
        need_labels(batch.y)

    def sample_class(self, y: Tensor) -> Tensor:
        """An image [n, *x_shape] of each class in y [n]."""
        return self.generate(len(y), y, y.device).clamp(0, 1)
