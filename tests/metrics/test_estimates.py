"""What an estimate says of itself: protocol, bounds, images, what it cannot be, and how the report takes it."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch

from benchmarks.config import declarations
from benchmarks.data import datasets
from benchmarks.errors import SuiteError
from benchmarks.jobs import evaluate
from benchmarks.metrics import adversarial_elbo, ais, elbo, fid, importance_bound, kid
from benchmarks.metrics.estimators.annealing import pilot
from benchmarks.metrics.trained import Estimate, Trained, best_possible, checked
from benchmarks.plan.suite import Suite
from benchmarks.report import tables
from benchmarks.report.compare import Cell, refuse_mixture
from methods.networks.encoders import EVALUATION_POOL
from methods.samples import Samples
from methods.training.minibatches import Images
from methods.vae import VAE
from tests.helpers.linear_gaussian import Linear, Posterior, simulated
from tests.helpers.small import SUITE as SMOKE
from tests.helpers.small import method_of

CPU = torch.device("cpu")


def of(method: Any, x: torch.Tensor, latent: int = 2, **more) -> Trained:
    """The method and test images as a metric sees them."""
    data: Any = SimpleNamespace(test_x=x, train=Images(x.mul(255).byte()))
    return Trained(method, latent, "images", data, None, None, None, CPU, **more)  # type: ignore[arg-type]


# --- annealed importance sampling


def test_chains_start_at_a_gaussian_fitted_to_codes():
    """Also those of a method that only draws, and never narrower than LEAST_SD."""
    x = torch.zeros(3, 1, 2, 2)
    draws = SimpleNamespace(encode=lambda x: torch.tensor([1.0, -2.0]) + torch.tensor([0.5, 1e-6]) * torch.randn(3, 2))
    start, kind = ais.start_of(of(draws, x, provides=frozenset({"encode"})), x, 4)
    assert start.mean.shape == (12, 2)
    assert torch.allclose(start.mean.mean(0), torch.tensor([1.0, -2.0]), atol=0.2)
    assert start.sd[:, 0].mean() == pytest.approx(0.5, rel=0.2)
    assert (start.sd[:, 1] == torch.tensor(ais.LEAST_SD)).all()
    assert "fitted" in kind
    start, kind = ais.start_of(of(SimpleNamespace(), x), x, 4)
    assert (kind, float(start.mean.abs().max()), float(start.sd.min())) == ("the prior", 0.0, 1.0)


def test_where_the_chains_start_is_part_of_the_protocol():
    options = {"n": 20, "distributions": 20, "chains": 2}
    encoded = ais.evaluate(of(VAE(Posterior(), Linear()), simulated()), **options)
    prior = ais.evaluate(of(SimpleNamespace(decoder=Linear()), simulated()), **options)
    assert encoded.protocol != prior.protocol
    for run in ("avb-mnist-8", "avb-ac-mnist-8", "vae-mnist-8", "auxiliary-vae-mnist", "vae-hvi-mnist"):
        assert "encode" in SMOKE.provides(run)  # so that a column of AVB's table 2 has one start


@pytest.mark.parametrize("distance", [0.0, 1.5])
def test_the_pilot_reaches_its_target(distance):
    from tests.metrics.test_estimators import LinearGaussian

    model, chains = LinearGaussian(5, 20, 100), 8
    torch.manual_seed(0)
    start = model.prior(chains)
    start = replace(start, mean=start.mean + distance)
    likelihood = model.likelihood(chains)
    steps = pilot(start, likelihood, chains, 10, 20, "linear")
    from benchmarks.metrics.estimators.annealing import State, hamiltonian_move

    state, accepted = State.at(start.draw(), likelihood), []
    for b in torch.linspace(0.05, 1, 40).tolist():
        for _ in range(3):
            state, accept = hamiltonian_move(state, b, steps.at(b), start, likelihood, 10)
        accepted.append(float(accept.double().mean()))
    assert 0.58 < numpy.mean(accepted) < 0.72


def test_the_importance_bound_is_shown_where_annealing_gives_less():
    """One chain of two temperatures from a start that is far off, beside the exact posterior as encoder."""
    method = VAE(Posterior(), Linear())
    trained = of(method, simulated(), provides=frozenset({"log_weight", "encode"}))
    poor = replace(ais.evaluate(trained, n=50, distributions=20, chains=2), value=-50.0)
    found = ais.better_bound(trained, poor, 50, 100)
    assert found.value == pytest.approx(importance_bound.evaluate(trained, n=50, samples=100).value, abs=1e-3)
    assert found.kind == "lower bound"
    assert found.protocol == poor.protocol
    assert found.details["annealed"] == -50.0
    assert "importance bound" in found.warning
    good = replace(poor, value=0.0)
    assert ais.better_bound(trained, good, 50, 100).value == 0.0


def test_the_gap_stands_beside_every_value_that_a_claim_uses():
    for profile in ("quick", "laptop", "paper"):
        suite = Suite(profile)
        for claim in suite.claims.values():
            for quantity in filter(None, (claim.greater, claim.than, claim.value)):
                for run in quantity.runs() if quantity.metric == "ais" else ():
                    assert "bdmc_gap" in suite.wanted[run], run


# --- what an estimate cannot be


def test_no_model_gives_binary_images_more_than_their_frequencies():
    four = torch.eye(4).reshape(4, 1, 2, 2)
    assert best_possible(four) == pytest.approx(-math.log(4))
    twice = torch.cat([four, four[:1]])
    assert best_possible(twice) == pytest.approx((0.4 * math.log(0.4)) + 3 * 0.2 * math.log(0.2))
    assert best_possible(four * 0.5) is None
    marked = checked(Estimate(-1.12, 0.001), four)
    assert marked.kind == "impossible"
    assert "-1.3863" in marked.warning
    assert checked(Estimate(-1.386, 0.001), four).warning == ""


def test_an_adversary_that_says_too_much_is_marked():
    method = SimpleNamespace(elbo_estimate=lambda batch, draws: torch.full((len(batch.x),), -1.12))
    found = adversarial_elbo.evaluate(of(method, torch.eye(4).reshape(4, 1, 2, 2)), whole=64)
    assert (found.kind, found.value) == ("impossible", pytest.approx(-1.12))
    cell = Cell(run="avb-4-point", metric="adversarial_elbo", kind="impossible", mean=-1.12, warning=found.warning)
    assert tables.ours(cell).startswith("! -1.1200")
    assert "impossible" in tables.ours(cell)


def test_moments_in_evaluation_come_from_a_large_pool():
    for run, latent in (("avb-ac-mnist-8", 8), ("avb-ac-4-point", 2), ("avb-ac-eight-schools", 10)):
        method, images, _ = method_of(run)
        method = method.eval()
        assert method.pool_bias(latent) == latent / EVALUATION_POOL < 0.02
        x = images.batch(torch.zeros(1, dtype=torch.long)).x
        with torch.no_grad():
            again = torch.stack([method.encoder(x).variance for _ in range(20)])
        assert float((again.std(0) / again.mean(0)).max()) < 3 * (2 / EVALUATION_POOL) ** 0.5
    assert method_of("avb-4-point")[0].pool_bias(2) == 0


# --- the same images


@pytest.mark.parametrize("profile", ["smoke", "quick", "laptop", "paper"])
def test_all_likelihoods_of_a_run_are_of_as_many_images(profile):
    suite, numbers = Suite(profile), {}
    for run in suite.wanted:
        for metric, entry in suite.metric_options(run).items():
            if declarations.metrics()[metric].literals.get("likelihood") and suite.serves(run, metric):
                numbers.setdefault(run, set()).add(entry["options"]["n"])
    assert {run: n for run, n in numbers.items() if len(n) > 1} == {}
    if profile == "paper":
        assert numbers["vae-mnist-8"] == {2048}
        assert numbers["hu-vae-100"] == {10_000}


def test_a_row_that_mixes_images_is_refused():
    common = {"run": "vae-mnist-8", "mean": -90.0}
    one = Cell(metric="elbo", protocol="a", images=10_000, **common)
    other = Cell(metric="ais", protocol="b", images=2048, **common)
    with pytest.raises(SuiteError, match="elbo is of 10000 test images, ais of 2048"):
        refuse_mixture("t", [one, other])
    refuse_mixture("t", [one, replace(other, images=10_000)])
    refuse_mixture("t", [one, replace(other, metric="rmse")])


# --- protocols and caches


def test_protocols_name_the_images_that_were_used(tmp_path):
    train = Images(torch.randint(0, 256, (50, 1, 4, 4), dtype=torch.uint8), None, "grey")
    data = datasets.Data("d", train, train.pixels[:0], torch.rand(40, 1, 4, 4), None, "grey levels")
    method = SimpleNamespace(encode=lambda x: torch.randn(len(x), 2), reconstruct=lambda x: x)
    trained = Trained(method, 2, "d", data, None, tmp_path, tmp_path, CPU)  # type: ignore[arg-type]
    said = {}
    for name, options in (("rmse", {}), ("aggregated_kl", {"n": 200})):
        found = evaluate.run_metric(declarations.metrics()[name], trained, options, 0, 0)
        said[name] = found.protocol
    assert said["rmse"].startswith("d, grey levels, test images")
    assert said["aggregated_kl"].startswith("d, grey levels, training images")
    for name, declared in declarations.metrics().items():
        assert "test" not in declared.literals.get("images", "") or name not in ("fid", "kid", "aggregated_kl"), name


def test_other_weights_have_samples_of_their_own():
    method = SimpleNamespace(sample=lambda n, device: torch.full((n, 1), method.value), value=1.0)
    trained = of(method, torch.zeros(4, 1))
    assert trained.samples(3).unique().item() == 1.0
    method.value = 2.0
    snapshot = replace(trained, final=False)
    assert snapshot.samples(3).unique().item() == 2.0
    assert snapshot.judged == {}


@pytest.mark.parametrize("metric", [fid, kid])
def test_new_images_under_an_old_name_are_judged_anew(metric, tmp_path, monkeypatch):
    monkeypatch.setattr(metric, "inception_of", lambda trained, download: lambda x: (x.mean((2, 3)), x.mean((2, 3))))

    def distance(pixels):
        data = datasets.Data("same", Images(pixels, None, "levels"), pixels[:0], torch.rand(4, 3, 4, 4), None, "")
        samples = Samples(len(pixels), list(pixels.shape[1:]), "levels")
        samples.images.copy_(pixels)
        return metric.evaluate(Trained(samples, 1, "same", data, None, tmp_path, tmp_path, CPU), n=30).value

    dark, bright = (torch.randint(low, low + 60, (30, 3, 8, 8), dtype=torch.uint8) for low in (0, 190))
    assert abs(distance(dark)) < 1e-3
    assert abs(distance(bright)) < 1e-3
    assert len(list((tmp_path / "statistics").glob("*.npz"))) == 4  # of real images and of controls


def test_all_training_images_are_the_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(fid, "inception_of", lambda trained, download: lambda x: (x.mean((2, 3)), x.mean((2, 3))))
    pixels = torch.randint(0, 256, (300, 3, 4, 4), dtype=torch.uint8)
    data = datasets.Data("d", Images(pixels, None, "levels"), pixels[:0], torch.rand(4, 3, 4, 4), None, "")
    samples = Samples(300, [3, 4, 4], "levels")
    samples.images.copy_(pixels)
    found = fid.evaluate(Trained(samples, 1, "d", data, None, tmp_path, tmp_path, CPU), n=100)
    assert "300 training images" in found.protocol
    x = ((pixels.float() + 0.5) / 256).mean((2, 3)).double().numpy()
    from benchmarks.metrics.estimators.scores import frechet_distance, moments

    assert found.value == pytest.approx(frechet_distance(moments(x[:100]), moments(x)), rel=1e-4)


def test_an_evaluation_of_few_images_of_many_is_over_images():
    """Eight test images of two hundred are a sample; four of four are all there is."""
    few = elbo.evaluate(of(VAE(Posterior(), Linear()), simulated()), n=8)
    values = Linear().log_p(simulated()[:8])
    assert few.standard_error == pytest.approx(float(values.std()) / 8**0.5, rel=0.05)
    whole = elbo.evaluate(of(VAE(Posterior(), Linear()), simulated()[:4]))
    assert whole.standard_error < 1e-4
