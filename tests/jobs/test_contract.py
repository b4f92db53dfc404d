"""What every method of the registry must do, whatever its objective."""

import ast
import math
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.distributions import Laplace, Normal, StudentT, Uniform

from benchmarks.config import declarations
from benchmarks.jobs import contract, joint_density
from benchmarks.jobs.contract import case_of, digest, same
from methods.terms import log_mean_exp
from methods.training.checkpoint import load_weights, save_weights
from methods.training.trainer import Interrupted
from tests.helpers import vamp
from tests.helpers.documents import ROOT
from tests.helpers.small import RUNS, SUITE, method_of


def every_player():
    for run in RUNS:
        for player in SUITE.method_of(run).literals["player_names"]:
            yield pytest.param(run, player, id=f"{run}-{player}")


def test_registry_is_covered():
    covered = {SUITE.method_of(run).name for run in RUNS}
    assert covered == set(declarations.methods())


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


BROKEN = """from methods.vae import VAE


class Broken(VAE):
    paper = "none"
    equations = "none"

    def per_example_loss(self, batch):
        loss = super().per_example_loss(batch)
        return 2 * loss.detach() - loss  # goes up along its own gradient

    def reconstruct(self, x):
        return super().reconstruct(x) + 5
"""


@pytest.mark.parametrize("optimise", ["", "1"])
def test_a_broken_contract_fails_however_python_is_started(tmp_path, optimise):
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "mine.yml").write_text("broken: {method: broken.py:Broken, like: vae-mnist-8}\n")
    command = ["-m", "benchmarks", "contract", "broken", "--runs", "mine.yml", "--profile", "smoke"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONOPTIMIZE": optimise}
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 2, done.stdout
    assert "a small step of player model changes its loss by +" in failed[0]
    assert "reconstruct gives pixels outside 0 to 1" in failed[1]


def test_an_assertion_of_a_method_itself_is_a_broken_contract():
    case = case_of(SUITE, RUNS[0])

    def asserting(case, folder):
        return {"one": lambda: (_ for _ in ()).throw(AssertionError), "two": lambda: contract.require(0, "not so")}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contract, "checks", asserting)
        assert contract.run(case) == {"one": "an assertion of the method failed", "two": "not so"}


def test_nothing_depends_on_assert_statements():
    """`python -O` and PYTHONOPTIMIZE=1 leave them out: outside tests, what must hold is raised."""
    files = [
        path for folder in ("methods", "benchmarks", "workflow", "examples") for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 100
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert not found


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


# --- one p(x, z)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("part", contract.JOINT)
def test_weights_samples_and_prior_are_of_one_model(run, part):
    contract.check_joint(case_of(SUITE, run), part)


@pytest.fixture(scope="module")
def vamps(tmp_path_factory):
    return vamp.suite(tmp_path_factory.mktemp("runs"))


def faults(vamps, run):
    """Part -> what the contract says of it."""
    found = {}
    for part in contract.JOINT:
        try:
            contract.check_joint(case_of(vamps, run), part)
        except contract.BrokenContractError as error:
            found[part] = str(error)
    return found


@pytest.mark.parametrize(
    ("run", "part", "says"),
    [
        ("VampVAEVamp", "", ""),
        ("TwoVamp", "", ""),
        ("Own", "log_weight", "log_weight differs from log p"),
        ("UnlikeVamp", "log_weight", "log_weight differs from log p"),
        ("Learnt", "log_weight", "log_weight differs from log p"),
        ("TwoMoreVamp", "log_weight", "nats more than their log p"),
        ("VampVAEUndrawn", "sample_prior", "sample_prior does not draw from exp"),
        ("VampVAEUnnormalised", "sample_prior", "does not integrate to 1 but to about 20"),
        ("SampledVamp", "sample", "sample gives other images than the decoder"),
    ],
)
def test_the_contract_says_who_speaks_of_another_prior(vamps, run, part, says):
    found = faults(vamps, run)
    assert list(found) == ([part] if part else [])
    assert says in found.get(part, "")


def test_the_whole_contract_holds_for_a_vampprior(vamps):
    assert not any(contract.run(case_of(vamps, "VampVAEVamp")).values())
    failed = {check: wrong for check, wrong in contract.run(case_of(vamps, "Own")).items() if wrong}
    assert list(failed) == ["log_weight is of the decoder and its log_prior"]


def test_a_bet_on_weights_of_expectation_one_is_not_won():
    """However heavy their tail; one of expectation 1.2 is."""
    for sd in (0.1, 1.0, 3.0, 10.0):
        found = [joint_density.won(sd * torch.randn(200, dtype=torch.float64) - sd**2 / 2) for _ in range(200)]
        assert max(found) < -5
    assert joint_density.won(math.log(1.2) + 0.5 * torch.randn(4000, dtype=torch.float64) - 0.125) > 0


class Told(nn.Module):
    """A decoder's prior alone."""

    def __init__(self, log_prior, draw):
        super().__init__()
        self.log_prior, self.sample_prior = log_prior, lambda n, device: draw(n)


def modes(distance):
    """log density and draws of equal parts N(-m, I/100) and N(m, I/100) in three dimensions."""

    def log_p(z):
        parts = [Normal(side * distance, 0.1).log_prob(z).sum(1) for side in (-1.0, 1.0)]
        return log_mean_exp(torch.stack(parts), 0)

    return log_p, lambda n: distance * (2.0 * torch.randint(2, (n, 1)) - 1) + 0.1 * torch.randn(n, 3)


def test_priors_of_any_shape_are_believed():
    laplace, heavy, cube = Laplace(0.0, 1.0), StudentT(2.5), Uniform(-1.0, 1.0, validate_args=False)
    for d in (1, 2, 64):
        for each in (laplace, heavy, cube):
            told = Told(lambda z, each=each: each.log_prob(z).sum(1), lambda n, each=each, d=d: each.sample((n, d)))
            assert joint_density.prior_fault(told) == ""
    for distance in (0.5, 5.0, 50.0):
        assert joint_density.prior_fault(Told(*modes(distance))) == ""
    log_p, draw = modes(5.0)
    assert "does not draw" in joint_density.prior_fault(Told(log_p, lambda n: 0.9 * draw(n)))
    assert "equal to each other" in joint_density.prior_fault(Told(log_p, lambda n: draw(n).round()))
