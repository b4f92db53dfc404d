"""KL to and from known posteriors: exact for a q with a density, an interval that holds the truth for one without."""

import math
from types import SimpleNamespace
from typing import Any

import numpy
import pandas
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from benchmarks.errors import NotRunError
from benchmarks.metrics import (
    kl_exact,
    kl_from_posterior,
    kl_from_posterior_knn,
    kl_to_posterior,
    kl_to_posterior_knn,
)
from benchmarks.metrics.estimators.knn import log_densities
from benchmarks.metrics.kl_to_posterior import enclosure
from benchmarks.metrics.measured_errors import known_divergences
from benchmarks.metrics.trained import Trained
from benchmarks.plan.suite import Suite
from benchmarks.posteriors import EightSchools, Rosenbrock, Torus
from benchmarks.report import figures
from methods.gaussian_vi import GaussianVI
from methods.networks.encoders import FullRankGaussian, MeanFieldGaussian
from methods.training.atomic_files import write_arrays
from methods.training.game import Batch

CPU = torch.device("cpu")


def gaussian_vi(encoder, tmp_path):
    """Variational Bayes of Eight Schools with exact draws beside it."""
    problem = EightSchools()
    return Trained(GaussianVI(encoder, problem), 10, "eight-schools", None, problem, tmp_path, tmp_path, CPU)


# the optima of both families (means and covariances of independent optimisations in float64)
def fitted(encoder, tmp_path, steps=3000):
    torch.manual_seed(0)
    found = gaussian_vi(encoder, tmp_path)
    optimiser = torch.optim.Adam(encoder.parameters(), 0.02)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.02 * min(1.0, 2 * (1 - step / steps))
        optimiser.zero_grad()
        found.method.per_example_loss(Batch(torch.zeros(100, 0))).mean().backward()
        optimiser.step()
    return found


def test_mean_field_vb_both_ways(tmp_path):
    found = fitted(MeanFieldGaussian(10), tmp_path)
    to, back = kl_to_posterior.evaluate(found), kl_from_posterior.evaluate(found)
    assert to.value == pytest.approx(1.580, abs=0.03)
    assert back.value == pytest.approx(18.44, abs=0.5)  # of the fit here; quick's own weights: test_quick_truths.py
    assert to.kind == "exact"
    assert to.value == pytest.approx(kl_exact.evaluate(found).value, abs=4 * to.standard_error)


def test_full_rank_vb_both_ways_against_a_gaussian_posterior(tmp_path):
    """A posterior that is Gaussian itself: torch's closed form in both directions."""
    torch.manual_seed(1)
    encoder = FullRankGaussian(3)
    with torch.no_grad():
        encoder.lower.normal_()
        encoder.log_diagonal.uniform_(-0.5, 0.5)
    target = MultivariateNormal(torch.ones(3), torch.eye(3) + 0.5)
    problem = SimpleNamespace(
        log_posterior=lambda z: target.log_prob(z.float()).double(),
        exact_draws=lambda n, generator: target.sample((n,)).double(),
    )
    method = GaussianVI(encoder, torch.nn.Identity())
    found = Trained(method, 3, "gaussian", None, problem, tmp_path, tmp_path, CPU)
    q = encoder(torch.zeros(1, 0))
    one = MultivariateNormal(q.mean[0], scale_tril=q.scale_tril)
    for metric, truth in (
        (kl_to_posterior, kl_divergence(one, target)),
        (kl_from_posterior, kl_divergence(target, one)),
    ):
        estimate = metric.evaluate(found, n=200_000)
        assert abs(estimate.value - float(truth.detach())) < 4 * estimate.standard_error


@pytest.mark.parametrize("case", known_divergences(1000))
def test_the_interval_holds_known_divergences(case):
    problem, n = EightSchools(), 10_000
    change, truth = known_divergences()[case]
    generator = torch.Generator().manual_seed(7)
    z, exact = change(problem.exact_draws(n, generator)), problem.exact_draws(n, generator)
    at_posterior = log_densities(exact.numpy()) - problem.log_posterior(exact).numpy()
    found = enclosure(z.numpy(), problem.log_posterior(z).numpy(), at_posterior)
    assert found.low <= truth <= found.high
    assert found.high - found.low < 0.8


def test_the_other_direction_of_an_implicit_q_cannot_be_estimated(tmp_path):
    method: Any = SimpleNamespace(encode=lambda x: torch.randn(len(x), 10))
    found = Trained(method, 10, "eight-schools", None, EightSchools(), tmp_path, tmp_path, CPU)
    with pytest.raises(NotRunError, match="cannot be estimated"):
        kl_from_posterior.evaluate(found)


@pytest.mark.parametrize("problem", [Torus(), Rosenbrock()], ids=["torus", "rosenbrock"])
def test_exact_draws_of_the_plane_have_kl_zero(problem, tmp_path):
    generator = torch.Generator().manual_seed(0)
    numpy.savez(tmp_path / "plane.npz", exact=problem.exact_draws(5000, generator).numpy())
    method: Any = SimpleNamespace(encode=lambda x: problem.exact_draws(len(x), generator))
    found = kl_to_posterior.evaluate(Trained(method, 2, "plane", None, problem, tmp_path, tmp_path, CPU), n=5000)
    assert found.low == 0
    assert found.high < 0.2


@pytest.mark.parametrize("metric", [kl_to_posterior_knn, kl_from_posterior_knn])
def test_neighbours_are_among_exact_draws_unless_hmc_is_asked_for(metric, tmp_path):
    problem, generator = EightSchools(), torch.Generator().manual_seed(0)
    exact, other = (problem.exact_draws(1000, generator).numpy() for _ in range(2))
    method: Any = SimpleNamespace(encode=lambda x: problem.exact_draws(len(x), generator))
    found = Trained(method, 10, "eight-schools", None, problem, tmp_path, tmp_path, CPU)
    numpy.savez(tmp_path / "eight-schools.npz", exact=exact)
    estimate = metric.evaluate(found, n=1000)
    assert estimate.protocol == "k-NN k=3, n=1000, exact draws"
    assert "exact draws" in estimate.warning
    assert abs(estimate.value) < 0.3  # q is the posterior
    with pytest.raises(NotRunError, match="no 'hmc'"):  # the checks of HMC failed
        metric.evaluate(found, n=1000, reference="hmc")
    numpy.savez(tmp_path / "eight-schools.npz", exact=exact, hmc=other + 10)
    estimate = metric.evaluate(found, n=1000, reference="hmc")
    assert estimate.protocol == "k-NN k=3, n=1000, HMC draws"
    assert estimate.value > 5


@pytest.mark.parametrize("kinds", [("exact",), ("exact", "hmc")])
def test_marginals_end_with_exact_draws_after_those_of_hmc_if_they_passed(kinds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suite = Suite("smoke")
    figure = suite.figures["avb-figure-4"]
    z = EightSchools().exact_draws(300, torch.Generator().manual_seed(0)).numpy()
    folder = tmp_path / "results" / "smoke"
    write_arrays(folder / "references" / "eight-schools.npz", dict.fromkeys(kinds, z))
    for run in figure.runs.values():
        write_arrays(folder / run / "seed0" / "posterior_draws.npz", {"z": z})
    drawing = figures.posterior_marginals(suite, figure, pandas.DataFrame())
    labels = [*figure.runs, *(["HMC"] if "hmc" in kinds else []), "exact draws"]
    assert [axis.get_title() for axis in drawing.axes[::2]] == labels


def test_entropy_of_gaussians_in_closed_form():
    random = numpy.random.default_rng(0)
    for d, scale in ((1, 0.01), (2, 1.0), (5, 30.0)):
        z = scale * random.normal(size=(10_000, d)) + 7
        truth = d * (0.5 + 0.5 * math.log(2 * math.pi) + math.log(scale))
        assert -log_densities(z).mean() == pytest.approx(truth, abs=0.05)
    with pytest.raises(ValueError, match="plane"):
        log_densities(numpy.repeat(random.normal(size=(100, 1)), 2, 1))
