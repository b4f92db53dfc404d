"""The one update loop: players take turns at descending their own losses.

A move differentiates a player's loss with respect to the parameters that the player owns, and nothing
else: the other players' parameters are constants by construction, while gradients still flow *through*
them into samples. Batch-norm running statistics are buffers, not parameters: they move whenever their
module runs in training mode, whoever's move it is.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """A minibatch: `x` [batch, *x_shape] in [0, 1] (of zero width where a problem has no data), labels, round."""

    x: Tensor
    y: Tensor | None = None
    step: int = 0


@dataclass(frozen=True)
class Player:
    """Modules, and the scalar loss (nats, mean over the batch) that they minimise.

    `steps` is the number of moves in a round, or a function of the round; `after_step` runs after each
    move (weight clipping in WGAN).
    """

    owns: tuple[nn.Module, ...]
    loss: Callable[[Batch], Tensor]
    steps: int | Callable[[int], int] = 1
    after_step: Callable[[], None] | None = None

    def parameters(self) -> list[nn.Parameter]:
        """Trainable parameters of the owned modules, each once, in a fixed order."""
        unique = {id(p): p for module in self.owns for p in module.parameters() if p.requires_grad}
        return list(unique.values())

    def moves(self, step: int) -> int:
        """How many moves this player has in round `step`."""
        return self.steps(step) if callable(self.steps) else self.steps


Precision = Callable[[], AbstractContextManager]


def gradient(player: Player, batch: Batch, precision: Precision = nullcontext) -> tuple[Tensor, list[Tensor | None]]:
    """The player's loss (a detached scalar) and its gradient for the player's own parameters only.

    `precision` makes the context in which both are computed. It ends with the move: autocast keeps casts of weights
    until its context ends, and a step in between would leave the next move with the weights of before.
    """
    with precision():
        loss = player.loss(batch)
        grads = torch.autograd.grad(loss, player.parameters(), allow_unused=True)
    return loss.detach(), list(grads)


def apply(player: Player, grads: list[Tensor | None], optimiser: torch.optim.Optimizer) -> None:
    """Take one optimiser step along `grads`, then run the player's hook."""
    for parameter, grad in zip(player.parameters(), grads, strict=True):
        if grad is not None and grad.stride() != parameter.stride():  # fused optimisers pair them by memory order
            grad = torch.empty_like(parameter).copy_(grad)
        parameter.grad = grad
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    if player.after_step is not None:
        player.after_step()


def play_round(
    players: Mapping[str, Player],
    optimisers: Mapping[str, torch.optim.Optimizer],
    batches: Iterator[Batch],
    step: int,
    simultaneous: bool = False,
    precision: Precision = nullcontext,
) -> dict[str, Tensor]:
    """One round; returns each player's loss at its last move.

    Alternating: the players move in order, each as often as it has moves. Simultaneous: all gradients of
    the k-th moves are taken before any is applied (Algorithm 1 of AVB, ALI). Either way the k-th move of
    every player sees the k-th minibatch of the round, so that a 1:1 game shares its data.
    """
    drawn: list[Batch] = []
    losses: dict[str, Tensor] = {}

    def minibatch(k: int) -> Batch:
        while len(drawn) <= k:
            drawn.append(next(batches))
        return drawn[k]

    if simultaneous:
        for k in range(max(player.moves(step) for player in players.values())):
            moving = {name: player for name, player in players.items() if k < player.moves(step)}
            found = {name: gradient(player, minibatch(k), precision) for name, player in moving.items()}
            for name, (loss, grads) in found.items():
                apply(moving[name], grads, optimisers[name])
                losses[name] = loss
    else:
        for name, player in players.items():
            for k in range(player.moves(step)):
                losses[name], grads = gradient(player, minibatch(k), precision)
                apply(player, grads, optimisers[name])
    return losses
