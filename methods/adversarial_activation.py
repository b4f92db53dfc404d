"""Adversary-activated VAEs (Hu et al. 2018, section 4): a likelihood method that also learns from its own images."""

from typing import Any

import torch
from torch import Tensor, nn

from methods.method import LikelihoodMethod, Method
from methods.terms import says_one, says_zero
from methods.training.game import Batch, Player


class AdversaryActivated(Method):
    """Two players around any likelihood method with -bound l(x) for each image: AA-VAE, AA-CVAE, AA-SVAE.

    Model:         min 1/2 E_data D_tau(x) l(x) + 1/2 E_model D_tau(x_g) l(x_g), D_tau = sigmoid(logit / tau)  (eq. 23)
    Discriminator: min -E_data log D(x) - E_model log(1 - D(x_g))                                             (eq. 50)

    x_g are draws of the current model, as many as the batch has. D_tau and x_g are constants for the model, hence the
    stop-gradients: they are q^r(y=0|x) and p_theta0 of eq. 23. The weights are not normalised. tau = 1 is the paper's
    eq. 23, larger ones smooth the discriminator ("generally helpful").
    """

    paper = "Unifying, tables 2 and 3"
    equations = "23, 48, 50"
    player_names = ("discriminator", "model")
    needs = {"base": ("draw",)}
    wraps = ("base",)
    provides = ()
    correspondence = {
        "name": "AA-VAE",
        "x": "data, generations",
        "y": "real or generated",
        "z": "code",
        "p(x|y)": "[G] p_theta(x|z,y), decoder (eq. 18)",
        "q(y|x)": "[I] discriminator, activated",
        "q(z|x,y)": "[I] encoder",
        "minimises": "KL(q_eta(z|x,y) q_phi^r(y|x) || p_theta(z,y|x))",
    }
    relations = {"VAE": "weights", "GAN": "combines"}

    def __init__(self, base: LikelihoodMethod, discriminator: nn.Module, temperature: float = 1.0):
        super().__init__()
        self.base, self.discriminator, self.temperature = base, discriminator, temperature
        self.classes, self.labelled_bound = getattr(base, "classes", 0), base.labelled_bound

    def players(self) -> dict[str, Player]:
        return {
            "discriminator": Player((self.discriminator,), self.discriminator_loss),
            "model": Player((self.base,), self.model_loss),
        }

    def fakes(self, batch: Batch) -> Batch:
        """x_g, and the classes that they were generated from."""
        with torch.no_grad():
            x, y = self.base.draw(len(batch.x), batch.x.device)
        return Batch(x, y, batch.step)

    def weights(self, x: Tensor) -> Tensor:
        """D_tau(x) = q^r(y=0|x) [batch], smoothed."""
        with torch.no_grad():
            return torch.sigmoid(self.discriminator(x) / self.temperature)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """Eq. 50."""
        return says_one(self.discriminator(batch.x)) + says_zero(self.discriminator(self.fakes(batch).x))

    def model_loss(self, batch: Batch) -> Tensor:
        """Eq. 23, as a loss. Batch statistics of data and of fakes are apart."""
        both = [self.weights(b.x) * self.base.per_example_loss(b) for b in (batch, self.fakes(batch))]
        return 0.5 * (both[0].mean() + both[1].mean())

    def validation_loss(self, batch: Batch) -> Tensor:
        return self.base.validation_loss(batch)

    def initialise(self, batch: Batch) -> None:
        self.base.initialise(batch)

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        return self.base.sample(n, device)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.base.reconstruct(x)

    def posterior(self, x: Tensor) -> Any:
        return self.base.posterior(x)

    def __getattr__(self, name: str) -> Any:
        """What else evaluation may ask (networks, bounds, classes), it asks the method inside."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("base", "_modules"):
                raise
            return getattr(self.base, name)
