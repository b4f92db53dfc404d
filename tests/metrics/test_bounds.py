"""ELBO <= importance bound <= log p(x), and AIS <= log p(x), up to three standard errors, for every density."""

import math

import pytest
import torch

from benchmarks.metrics import ais, elbo, importance_bound, kl_exact, log_likelihood
from benchmarks.metrics.trained import Trained
from benchmarks.posteriors import EightSchools
from methods.networks.build import build_method
from methods.training.minibatches import Images
from methods.training.trainer import Settings, Trainer
from tests.helpers.small import SUITE

CPU = torch.device("cpu")


class Held:
    """Test images for a metric, which are the training images too, and nothing else."""

    def __init__(self, x):
        self.test_x, self.train = x, Images(x.mul(255).byte())


def fitted(run, folder):
    """The run's method with two latent dimensions, trained briefly on a few binary images."""
    torch.manual_seed(0)
    specification = {**SUITE.specification(run), "latent_dim": 2}
    centres = torch.bernoulli(torch.full((40, 1, 8, 8), 0.4)).mul(255).byte()
    method = build_method(specification, (1, 8, 8))
    Trainer(method, Images(centres), Settings(60, 40, 3e-3), folder, 0).run()
    data = Held(centres.float() / 255)
    return Trained(method.eval(), 2, "images", data, None, folder, folder, CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "run", ["vae-mnist-8", "vae-nf-mnist", "vae-iaf-mnist", "auxiliary-vae-mnist", "vae-hvi-mnist"]
)
def test_bounds_are_bounds(run, tmp_path):
    trained = fitted(run, tmp_path)
    truth = log_likelihood.evaluate(trained, side=301)
    single = elbo.evaluate(trained, draws=50, n=40)
    many = importance_bound.evaluate(trained, samples=200, n=40)
    annealed = ais.evaluate(trained, n=40, distributions=100, chains=8)
    # the images are the same forty, so only the Monte-Carlo noise of the estimators is left: far below 0.05
    assert single.value <= many.value + 0.05
    assert many.value <= truth.value + 0.05
    assert abs(annealed.value - truth.value) < 0.1
    in_run = ais.evaluate(trained, n=40, distributions=100, chains=8, adaptation="in-run")
    assert abs(in_run.value - truth.value) < 0.3
    assert in_run.protocol != annealed.protocol
    assert truth.value < 0


def test_kl_exact_of_a_known_gaussian(tmp_path):
    problem = EightSchools()
    torch.manual_seed(0)
    method = build_method(SUITE.specification("vb-mean-field-eight-schools"), (0,), problem)
    trained = Trained(method.eval(), 10, "eight-schools", None, problem, tmp_path, tmp_path, CPU)
    found = kl_exact.evaluate(trained, n=200_000)
    exact = problem.exact_draws(1000, torch.Generator().manual_seed(1))
    assert found.value > 0
    assert found.standard_error is not None
    # KL >= 0, and at the best mean-field Gaussian it is 1.5812: mean, sd found there by the run
    with torch.no_grad():
        method.encoder.mean.copy_(exact.mean(0))
        method.encoder.log_sd.copy_(exact.std(0).log())
    wide = kl_exact.evaluate(trained, n=200_000)
    entropy = float(method.encoder.log_sd.detach().sum()) + 5 * math.log(2 * math.pi * math.e)
    assert wide.value == pytest.approx(-12.7108 - entropy_free_elbo(problem, method) - entropy, abs=0.05)


def entropy_free_elbo(problem, method):
    """E_q log p(z, y) by independent draws."""
    torch.manual_seed(9)
    mean, sd = method.encoder.mean.detach().double(), method.encoder.log_sd.detach().exp().double()
    z = mean + sd * torch.randn(400_000, 10, dtype=torch.float64)
    return float((problem.log_likelihood(z, z) + problem.log_prior(z)).mean())


def test_an_edited_run_after_a_kill_starts_afresh(tmp_path, capsys):
    from benchmarks.jobs.training import train

    specification = SUITE.specification("vae-4-point")
    folder = tmp_path / "run"
    first = train(specification, 0, "smoke", folder, root=tmp_path, device_name="cpu", code={"a": "b"})
    assert first.status == "ok"
    assert not (folder / "checkpoint").exists()
    (folder / "trained.json").unlink()  # what a finished training is recognised by
    from tests.helpers.small import method_of

    method, images, _ = method_of("vae-4-point")
    stale = Trainer(method, images, Settings(12, 8, 1e-3), folder, 0, identity={"other": 1})
    stale.one_round()
    stale.save(0.0)
    again = train(specification, 0, "smoke", folder, root=tmp_path, device_name="cpu", code={"a": "b"})
    assert again.weights_sha256 == first.weights_sha256
    assert "set aside" in capsys.readouterr().err
