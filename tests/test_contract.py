"""What every method of the registry must do, whatever its objective."""

import importlib
import inspect
from dataclasses import replace

import pytest
import torch
from small import RUNS, SUITE, method_of

from benchmarks import catalogue
from methods.checkpoint import load_weights, save_weights
from methods.game import gradient
from methods.networks import lay_out
from methods.train import Interrupted, Trainer, settings_from


def every_player():
    for run in RUNS:
        for player in SUITE.method_of(run).literals["player_names"]:
            yield pytest.param(run, player, id=f"{run}-{player}")


def test_registry_is_covered():
    covered = {SUITE.method_of(run).name for run in RUNS}
    assert covered == set(catalogue.methods())


@pytest.mark.parametrize("name", sorted(catalogue.methods()))
def test_declared_literals_are_the_live_ones(name):
    declared = catalogue.methods()[name]
    module, class_name = declared.target.split(":")
    live = getattr(importlib.import_module(module), class_name)
    for key in ("paper", "equations", "player_names", "needs", "provides"):
        assert declared.literals.get(key) == getattr(live, key), key
    assert list(declared.parameters) == list(inspect.signature(live).parameters)


@pytest.mark.parametrize("run", RUNS)
def test_players_are_as_declared(run):
    method, _, _ = method_of(run)
    assert tuple(method.players()) == SUITE.method_of(run).literals["player_names"]


@pytest.fixture
def float64():
    """Double precision: a clipped critic's values are of order 1e-9."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("run", "player"), list(every_player()))
def test_a_move_changes_only_its_own_parameters_and_descends(run, player, float64):
    method, images, _ = method_of(run)
    method.double().eval()  # moments and batch statistics frozen
    moving = method.players()[player]
    batch = images.batch(torch.arange(len(images)) if len(images) > 1 else torch.zeros(64, dtype=torch.long))
    batch = replace(batch, x=batch.x.double())
    own = {id(p) for p in moving.parameters()}
    before = {n: p.clone() for n, p in method.named_parameters()}

    torch.manual_seed(5)
    loss, grads = gradient(moving, batch)
    torch.manual_seed(5)
    expected = torch.autograd.grad(moving.loss(batch), moving.parameters(), allow_unused=True)
    for found, wanted in zip(grads, expected, strict=True):
        assert (found is None) == (wanted is None)
        assert found is None or torch.equal(found, wanted)
    norm = torch.stack([g.square().sum() for g in grads if g is not None]).sum()
    assert norm > 0
    with torch.no_grad():
        for parameter, grad in zip(moving.parameters(), grads, strict=True):
            if grad is not None:
                parameter -= 1e-3 * grad / norm.sqrt()
    torch.manual_seed(5)
    assert moving.loss(batch) < loss
    foreign = [n for n, p in method.named_parameters() if id(p) not in own]
    assert all(torch.equal(before[n], dict(method.named_parameters())[n]) for n in foreign)


def digest(method):
    return {name: tensor.clone() for name, tensor in method.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def trainer_for(run, folder, steps):
    method, images, specification = method_of(run)
    method = lay_out(method)  # as trainings do: moments follow the layout of their parameters
    options = settings_from({**specification["train"], "steps": steps, "snapshots": []})
    torch.manual_seed(3)
    return Trainer(method, images, options, folder, seed=7, identity={"run": run})


@pytest.mark.parametrize("run", RUNS)
def test_save_load_and_resume_are_exact(run, tmp_path):
    whole = trainer_for(run, tmp_path / "whole", 6)
    whole.run()
    half = trainer_for(run, tmp_path / "half", 6)
    for _ in range(3):
        half.one_round()
    half.save(0.0)
    torch.manual_seed(99)
    rest = trainer_for(run, tmp_path / "half", 6)
    rest.run()
    assert same(digest(whole.method), digest(rest.method))

    save_weights(tmp_path / "w.safetensors", whole.method, {})
    other, _, _ = method_of(run, seed=8)
    assert not same(digest(whole.method), digest(other))
    load_weights(tmp_path / "w.safetensors", other)
    assert same(digest(whole.method), digest(other))


def test_checkpoint_of_another_specification_is_refused(tmp_path):
    first = trainer_for("vae-4-point", tmp_path, 4)
    first.save(0.0)
    second = trainer_for("vae-4-point", tmp_path, 4)
    second.identity = {"run": "another"}
    with pytest.raises(ValueError, match="another specification"):
        second.run()
    other, _, _ = method_of("vae-nf-mnist")
    save_weights(tmp_path / "w.safetensors", first.method, {})
    with pytest.raises(ValueError, match="another specification"):
        load_weights(tmp_path / "w.safetensors", other)


def test_truncated_checkpoint_is_one_clear_line(tmp_path):
    trainer = trainer_for("vae-4-point", tmp_path, 4)
    trainer.save(0.0)
    content = trainer.checkpoint.read_bytes()
    trainer.checkpoint.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"state\.safetensors: damaged"):
        trainer.run()


def test_stop_request_saves_and_the_same_command_continues(tmp_path):
    import os
    import signal

    whole = trainer_for("avb-4-point", tmp_path / "whole", 8)
    whole.run()
    stopped = trainer_for("avb-4-point", tmp_path / "stopped", 8)
    real_round = stopped.one_round

    def round_with_signal():
        losses = real_round()
        if stopped.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    stopped.one_round = round_with_signal
    with pytest.raises(Interrupted):
        stopped.run()
    again = trainer_for("avb-4-point", tmp_path / "stopped", 8)
    again.run()
    assert same(digest(whole.method), digest(again.method))
