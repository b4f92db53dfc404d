"""What every method of the registry must do, whatever its objective."""

import pytest
from small import RUNS, SUITE, method_of

from benchmarks import catalogue
from benchmarks.own import contract
from benchmarks.own.contract import case_of, digest, same
from methods.checkpoint import load_weights, save_weights
from methods.train import Interrupted


def every_player():
    for run in RUNS:
        for player in SUITE.method_of(run).literals["player_names"]:
            yield pytest.param(run, player, id=f"{run}-{player}")


def test_registry_is_covered():
    covered = {SUITE.method_of(run).name for run in RUNS}
    assert covered == set(catalogue.methods())


@pytest.mark.parametrize("run", RUNS)
def test_literals_and_players_are_as_declared(run):
    contract.check_literals(case_of(SUITE, run))
    contract.check_players(case_of(SUITE, run))


@pytest.mark.parametrize(("run", "player"), list(every_player()))
def test_a_move_changes_only_its_own_parameters_and_descends(run, player):
    contract.check_move(case_of(SUITE, run), player)


@pytest.mark.parametrize("run", RUNS)
def test_answers_have_the_right_shapes(run):
    contract.check_answers(case_of(SUITE, run))


@pytest.mark.parametrize("run", RUNS)
def test_save_load_and_resume_are_exact(run, tmp_path):
    contract.check_weights(case_of(SUITE, run), tmp_path)
    contract.check_training(case_of(SUITE, run), tmp_path)


def trainer_for(run, folder, steps):
    return case_of(SUITE, run).trainer(folder, steps)


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
