"""bf16: every move sees the weights that the move before it left, and every player's gradient reaches all it owns."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from methods.method import Method
from methods.training.game import Batch, Player, gradient
from methods.training.minibatches import Images
from methods.training.trainer import Settings, Trainer
from tests.helpers.small import RUNS, method_of

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Line(Method):
    """One weight w and the loss w x, so that each step of gradient descent lowers w; and a rival who sees w."""

    def __init__(self, steps: int = 2):
        super().__init__()
        self.own, self.rival, self.steps = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False), steps
        nn.init.ones_(self.own.weight)
        nn.init.ones_(self.rival.weight)
        self.seen, self.hooked = [], []

    def loss(self, batch: Batch):
        found = self.own(batch.x).mean()
        self.seen.append(float(found))
        return found

    def rival_loss(self, batch: Batch):
        return (self.rival(batch.x) * self.own(batch.x)).mean()

    def hook(self):
        with torch.no_grad():
            self.hooked.append(float(self.own(torch.ones_like(self.own.weight))))
            self.own.weight.mul_(0.5)

    def players(self):
        return {
            "own": Player((self.own,), self.loss, self.steps, self.hook),
            "rival": Player((self.rival,), self.rival_loss, self.steps),
        }


def played(method, folder, precision, simultaneous, rounds=1, device="cpu"):
    """The trainer after some rounds of plain descent on images of one white pixel."""
    settings = Settings(rounds, 4, 0.25, optimiser="rmsprop", precision=precision, simultaneous=simultaneous)
    images = Images(torch.full((8, 1), 255, dtype=torch.uint8, device=device))
    trainer = Trainer(method.to(device), images, settings, folder, 0)
    trainer.optimisers = {n: torch.optim.SGD(p.parameters(), lr=0.25) for n, p in trainer.players.items()}
    for _ in range(rounds):
        trainer.one_round()
    return trainer


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_second_move_sees_the_first(precision, simultaneous, device, tmp_path):
    method = Line()
    played(method, tmp_path, precision, simultaneous, 2, device)
    # each move: w - 1/4, which the hook sees and halves; all of these numbers are exact in bf16
    expected = [1.0]
    for _ in range(3):
        expected.append((expected[-1] - 0.25) / 2)
    assert method.seen == expected
    assert method.hooked == [w - 0.25 for w in expected]


def test_the_rival_of_an_alternating_round_sees_the_last_move(tmp_path):
    method = Line(steps=1)
    trainer = played(method, tmp_path, "bfloat16", False)
    assert float(trainer.method.rival.weight) == 1 - 0.25 * (1 - 0.25) / 2


@pytest.mark.parametrize("run", ["dcgan-cifar10", "wgan-cifar10", "avb-ac-mnist-8", "asvae-cifar10"])
def test_a_round_in_bf16_is_its_moves_one_by_one(run, tmp_path):
    """Bitwise the weights of a loop written here, with a context of its own for every loss and gradient."""

    def trainer(name):
        method, images, specification = method_of(run)
        torch.manual_seed(1)
        rate = specification["train"]["learning_rate"]
        return Trainer(method, images, Settings(2, 4, rate, precision="bfloat16"), tmp_path / name, 0)

    ours, theirs = trainer("ours"), trainer("theirs")
    torch.manual_seed(2)
    ours.one_round()
    torch.manual_seed(2)
    theirs.batches.step, batches = 0, []
    theirs.method.initialise(theirs.batches.first())
    for name, player in theirs.players.items():
        for k in range(player.moves(0)):
            if len(batches) <= k:
                batches.append(next(theirs.batches))
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
                loss = player.loss(batches[k])
                grads = torch.autograd.grad(loss, player.parameters(), allow_unused=True)
            for parameter, grad in zip(player.parameters(), grads, strict=True):
                parameter.grad = None if grad is None else torch.empty_like(parameter).copy_(grad)
            theirs.optimisers[name].step()
            theirs.optimisers[name].zero_grad()
            if player.after_step is not None:
                player.after_step()
    for (name, a), b in zip(ours.method.state_dict().items(), theirs.method.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("run", [run for run in RUNS if "pixel" not in run])
def test_bf16_reaches_what_float32_reaches(run, tmp_path):
    """Forward passes without a graph, in the same move, must not take the gradient from those with one."""
    method, images, _ = method_of(run)
    trainer = Trainer(method, images, Settings(1, 4, 1e-3, precision="bfloat16"), tmp_path, 0)
    batch = images.batch(torch.arange(min(4, len(images))))
    if len(images) == 1:
        batch = images.batch(torch.zeros(4, dtype=torch.long))
    method.train()
    method.initialise(batch)
    for name, player in method.players().items():
        torch.manual_seed(0)
        wanted = [g is not None for g in gradient(player, batch, nullcontext)[1]]
        torch.manual_seed(0)
        assert [g is not None for g in gradient(player, batch, trainer.autocast)[1]] == wanted, name
