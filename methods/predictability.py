"""Predictability minimisation (Schmidhuber 1992): code units that cannot be told from the other units."""

import torch
from torch import Tensor, nn

from methods.game import Batch, Player
from methods.method import Method
from methods.networks import linear, stack


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
    """Two players with one objective, V = sum_i E (P_i(y without y_i) - y_i)^2, y = E(x) in (0, 1).

    Predictors: min V. At the optimum P_i = E[y_i | the others], and V = sum_i E Var(y_i | the others).
    Encoder:    max V (Schmidhuber 1992, sections 2 and 4): at most 1/4 for each unit, where the units are independent
                fair bits, which is also where a code that is a function of x tells most about it.

    The paper only names it: the adversary of AAE (eq. 35) is one such predictor.
    """

    paper = "Unifying, section 3.2.3 and appendix C"
    equations = "Schmidhuber 1992, sections 2 and 4"
    player_names = ("encoder", "predictors")
    provides = ("encode", "code_units")

    def __init__(self, encoder: nn.Module, predictors: Predictors, predictor_steps: int = 1):
        super().__init__()
        self.encoder, self.predictors, self.predictor_steps = encoder, predictors, predictor_steps

    def players(self) -> dict[str, Player]:
        return {
            "encoder": Player((self.encoder,), lambda batch: -self.surprise(self.encode(batch.x))),
            "predictors": Player((self.predictors,), self.predictors_loss, steps=self.predictor_steps),
        }

    def encode(self, x: Tensor) -> Tensor:
        """Code units y [batch, latent] in (0, 1)."""
        return self.encoder(x).rsample().sigmoid()

    def surprise(self, y: Tensor) -> Tensor:
        """V of a batch of codes."""
        return (self.predictors(y) - y).square().sum(1).mean()

    def predictors_loss(self, batch: Batch) -> Tensor:
        """V, codes fixed."""
        with torch.no_grad():  # only the predictors move
            y = self.encode(batch.x)
        return self.surprise(y)
