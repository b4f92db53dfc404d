"""Predictability minimisation (Schmidhuber 1992): code units that cannot be told from the other units."""

import torch
from torch import Tensor, nn

from methods.method import Method
from methods.networks.bodies import Body, linear, stack
from methods.training.game import Batch, Player


class Predictors(nn.Module):
    """One network for each unit i: P_i(y without y_i) in (0, 1)."""

    def __init__(self, latent_dim: int, hidden: list[int], activation: str = "relu"):
        super().__init__()
        self.networks = nn.ModuleList(
            nn.Sequential(stack(latent_dim - 1, hidden, activation), linear(hidden[-1], 1)) for _ in range(latent_dim)
        )

    def forward(self, y: Tensor) -> Tensor:
        """[batch, latent] -> [batch, latent]; column i does not depend on y_i."""
        others = [torch.cat([y[:, :i], y[:, i + 1 :]], 1) for i in range(y.shape[1])]
        return torch.cat([network(rest) for network, rest in zip(self.networks, others, strict=True)], 1).sigmoid()


class PredictabilityMinimisation(Method):
    """Two players with one objective, V = sum_i E (P_i(y without y_i) - y_i)^2, y = F(x) in (0, 1).

    Predictors: min V. At the optimum P_i = E[y_i | the others], and V = sum_i E Var(y_i | the others).
    Code:       max V: at most 1/4 for each unit, where the units are independent fair bits; 0 for constant ones.

    F has no noise (noise would be unpredictable for nothing): it is `network`, a linear layer and a sigmoid. No term
    keeps the code from collapse: give the predictors the higher rate, as a code that outruns them pushes whole units
    to one end of the sigmoid. The paper only names the method: AAE's adversary (eq. 35) is such a predictor.
    """

    paper = "Unifying, section 3.2.3 and appendix C"
    equations = "Schmidhuber 1992, V_C"
    player_names = ("code", "predictors")
    provides = ("code_units",)
    correspondence = {
        "name": "PM",
        "x": "data",
        "y": "– (each unit of the code, given the others)",
        "z": "code",
        "p(x|y)": "–",
        "q(y|x)": "[G] predictors, as AAE's discriminator",
        "q(z|x,y)": "[I] encoder",
        "minimises": "– (the code maximises the predictors' squared error)",
    }

    def __init__(self, network: Body, predictors: Predictors, latent_dim: int):
        super().__init__()
        self.network, self.predictors = network, predictors
        self.units = linear(network.out_features, latent_dim)

    def players(self) -> dict[str, Player]:
        return {
            "code": Player((self.network, self.units), self.code_loss),
            "predictors": Player((self.predictors,), self.predictors_loss),
        }

    def encode(self, x: Tensor) -> Tensor:
        """Code units y [batch, latent] in (0, 1)."""
        return self.units(self.network(x)).sigmoid()

    def surprise(self, y: Tensor) -> Tensor:
        """V of a batch of codes."""
        return (self.predictors(y) - y).square().sum(1).mean()

    def code_loss(self, batch: Batch) -> Tensor:
        """-V."""
        return -self.surprise(self.encode(batch.x))

    def predictors_loss(self, batch: Batch) -> Tensor:
        """V, codes fixed."""
        with torch.no_grad():  # only the predictors move
            y = self.encode(batch.x)
        return self.surprise(y)
