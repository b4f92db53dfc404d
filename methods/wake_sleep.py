"""The wake-sleep algorithm (Hinton et al. 1995) for a Helmholtz machine of Bernoulli layers (Dayan et al. 1995)."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from methods.method import Method
from methods.networks.bodies import linear
from methods.terms import softplus
from methods.training.game import Batch, Player


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) [batch] of independent bits x, nats."""
    return (x * logits - softplus(logits)).sum(-1)


class SigmoidBelief(nn.Module):
    """p(s_1, .., s_n | s_0): each unit of a layer is a bit with probability sigmoid(W s + b), s the layer before."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.widths = tuple(widths)
        self.layers = nn.ModuleList(linear(n_in, n_out) for n_in, n_out in pairwise(widths))

    def draw(self, first: Tensor) -> list[Tensor]:
        """Layers s_0, .., s_n, each [batch, width], from s_0; bits have no gradient."""
        states = [first]
        for layer in self.layers:
            states.append(torch.bernoulli(layer(states[-1]).sigmoid().detach()))
        return states

    def log_conditional(self, states: Sequence[Tensor]) -> Tensor:
        """log p(s_1, .., s_n | s_0) [batch], nats."""
        pairs = zip(self.layers, pairwise(states), strict=True)
        return torch.stack([log_bernoulli(after, layer(before)) for layer, (before, after) in pairs]).sum(0)


class Recognition(SigmoidBelief):
    """q(h|x): x -> h_1 -> .. -> h_n, of widths `hidden`."""

    def __init__(self, x_shape: tuple, hidden: list[int]):
        super().__init__([prod(x_shape), *hidden])


class Generation(SigmoidBelief):
    """p(x, h): h_n -> .. -> h_1 -> x, of the same `hidden` as the recognition's, and independent bits h_n."""

    def __init__(self, x_shape: tuple, hidden: list[int]):
        super().__init__([*reversed(hidden), prod(x_shape)])
        self.x_shape = tuple(x_shape)
        self.prior = nn.Parameter(torch.zeros(hidden[-1]))

    def draw_top(self, n: int) -> Tensor:
        """h_n ~ p(h_n) [n, hidden[-1]]."""
        return torch.bernoulli(self.prior.detach().sigmoid().expand(n, -1))

    def log_joint(self, states: Sequence[Tensor]) -> Tensor:
        """log p(x, h) [batch], nats, of states h_n, .., h_1, x."""
        return log_bernoulli(states[0], self.prior) + self.log_conditional(states)

    def image(self, below: Tensor) -> Tensor:
        """Probabilities p(x|h_1) [batch, *x_shape]."""
        return self.layers[-1](below).sigmoid().reshape(-1, *self.x_shape)


class WakeSleep(Method):
    """Two players, each of which fits its network to the other's draws (Unifying eq. 20).

    Wake:  min -E log p(x, h), x from the data, h ~ q(h|x)
    Sleep: min -E log q(h|x), h ~ p(h), x ~ p(x|h)

    Eq. 20 has log p(x|h) in the wake phase; as Hinton et al. do, log p(h) is fitted too. Both densities are exact,
    so log p(x, h) - log q(h|x) gives the bounds on log p(x) that a VAE has: the wake phase raises them, the sleep
    phase need not (its KL is the other way round). x are bits.
    """

    paper = "Unifying, section 3.5"
    equations = "20"
    player_names = ("wake", "sleep")
    provides = ("log_weight", "sample", "reconstruct")
    correspondence = {
        "name": "wake-sleep",
        "x": "data (wake), generations (sleep)",
        "y": "– (GAN: h is y in the sleep phase)",
        "z": "hidden units h (VAE: h is z in the wake phase)",
        "p(x|y)": "[G] p_theta(x|h)",
        "q(y|x)": "–",
        "q(z|x,y)": "[I] q_lambda(h|x)",
        "minimises": "KL(p_data(x) q_lambda(h|x) || p_theta(x,h)) (wake), KL(p_theta(h|x) || q_lambda(h|x)) (sleep)",
    }

    def __init__(self, recognition: Recognition, generation: Generation):
        super().__init__()
        if recognition.widths != generation.widths[::-1]:
            raise ValueError(f"hidden: the recognition's layers {recognition.widths} are not the generation's reversed")
        self.recognition, self.generation = recognition, generation

    def players(self) -> dict[str, Player]:
        return {
            "wake": Player((self.generation,), self.wake_loss),
            "sleep": Player((self.recognition,), self.sleep_loss),
        }

    def wake_loss(self, batch: Batch) -> Tensor:
        """Eq. 20, wake, for theta."""
        states = self.recognition.draw(batch.x.flatten(1))
        return -self.generation.log_joint(states[::-1]).mean()

    def sleep_loss(self, batch: Batch) -> Tensor:
        """Eq. 20, sleep, for lambda: as many dreams as the batch has images."""
        dreams = self.generation.draw(self.generation.draw_top(len(batch.x)))
        return -self.recognition.log_conditional(dreams[::-1]).mean()

    def log_weight(self, batch: Batch) -> Tensor:
        """log p(x, h) - log q(h|x) [batch], h ~ q(h|x), nats."""
        states = self.recognition.draw(batch.x.flatten(1))
        return self.generation.log_joint(states[::-1]) - self.recognition.log_conditional(states)

    def encode(self, x: Tensor) -> Tensor:
        """Bits h ~ q(h|x) of every layer [batch, sum of hidden]; their prior is no N(0, I)."""
        return torch.cat(self.recognition.draw(x.flatten(1))[1:], 1)

    def sample(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n images of probabilities [n, *x_shape]."""
        return self.generation.image(self.generation.draw(self.generation.draw_top(n))[-2])

    def reconstruct(self, x: Tensor) -> Tensor:
        """Probabilities p(x|h_1) [batch, *x_shape] at one draw h_1 ~ q(h_1|x)."""
        return self.generation.image(self.recognition.draw(x.flatten(1))[1])

    def validation_loss(self, batch: Batch) -> Tensor:
        """Minus the bound on log p(x)."""
        return -self.log_weight(batch).mean()
