"""Adversarial domain adaptation (Ganin et al. 2016): features from which no adversary can tell the domain."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods.labels import split
from methods.method import Method
from methods.networks.bodies import Body, linear
from methods.terms import says_one, says_zero
from methods.training.game import Batch, Player


def split_domains(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """(x, y) of the source and x of the target, from a batch where y = -1 says "target domain, label hidden".

    ValueError if either domain is absent.
    """
    if batch.y is None:
        raise ValueError("a batch of two domains needs labels: -1 for the target domain")
    source, target = split(batch.y >= 0)
    if not len(source) or not len(target):
        raise ValueError("a batch of two domains holds one only; take a dataset of two domains, or larger batches")
    return batch.x[source], batch.y[source], batch.x[target]


class ADA(Method):
    """Two players: a discriminator of features F(x), and F with a classifier C of the source's labels.

    Features:      min -E_source log C(y | F(x)) - weight [E_source log(1 - D(F(x))) + E_target log D(F(x))]   (eq. 2)
    Discriminator: min -E_source log D(F(x)) - E_target log(1 - D(F(x)))                                     (eq. 1)

    The paper omits the classification loss. Label 1 = source. `weight` 0 is training on the source alone. F has no
    noise: it is `network` and a linear layer to `latent_dim`. D is a `LatentCritic` whose z are the features (the
    paper calls data z and features x).
    """

    paper = "Unifying, section 3.1"
    equations = "1, 2"
    player_names = ("features", "discriminator")
    provides = ("classify",)
    correspondence = {
        "x": "features",
        "y": "source or target domain",
        "z": "data",
        "p(x|y)": "[I] features of a domain's data (eq. 3)",
        "q(y|x)": "[G] discriminator",
        "q(z|x,y)": "–",
        "minimises": "KL(p_theta(x|y) || q^r(x|y))",
    }

    def __init__(
        self,
        network: Body,
        discriminator: nn.Module,
        latent_dim: int,
        classes: int = 10,
        weight: float = 1.0,
    ):
        super().__init__()
        self.network, self.discriminator = network, discriminator
        self.to_features = linear(network.out_features, latent_dim)
        self.classifier, self.weight = linear(latent_dim, classes), weight

    def players(self) -> dict[str, Player]:
        return {
            "features": Player((self.network, self.to_features, self.classifier), self.features_loss),
            "discriminator": Player((self.discriminator,), self.discriminator_loss),
        }

    def features(self, x: Tensor) -> Tensor:
        """F(x) [batch, latent], of images of either domain."""
        return self.to_features(self.network(x))

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """F(x), and log C(y | F(x)) up to a constant [batch, classes]."""
        features = self.features(x)
        return features, self.classifier(features)

    def features_loss(self, batch: Batch) -> Tensor:
        """Eq. 2, and the classification of the source."""
        x_s, y_s, x_t = split_domains(batch)
        f_s, f_t = self.features(x_s), self.features(x_t)
        confusion = says_zero(self.discriminator(x_s, f_s)) + says_one(self.discriminator(x_t, f_t))
        return cross_entropy(self.classifier(f_s), y_s) + self.weight * confusion

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """Eq. 1."""
        x_s, _, x_t = split_domains(batch)
        with torch.no_grad():  # only the discriminator moves
            f_s, f_t = self.features(x_s), self.features(x_t)
        return says_one(self.discriminator(x_s, f_s)) + says_zero(self.discriminator(x_t, f_t))
