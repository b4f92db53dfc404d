"""Every estimator against a closed form, at a tolerance that says how exact it is."""

import math

import numpy
import pytest
import torch

from benchmarks.metrics.estimators.annealing import (
    Start,
    annealed_importance_sampling,
    schedule,
)
from benchmarks.metrics.estimators.knn import knn_kl
from benchmarks.metrics.estimators.likelihoods import any_likelihood, bernoulli_likelihood, likelihood_for, relu_layers
from benchmarks.metrics.log_likelihood import quadrature
from benchmarks.posteriors import EightSchools, Rosenbrock, Torus
from benchmarks.statistics.inference import holm
from methods.terms import log_mean_exp, log_standard_normal


class LinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z, s^2 I): log p(x) and the posterior in closed form."""

    def __init__(self, latent, pixels, images, noise=0.3):
        g = torch.Generator().manual_seed(latent)
        self.w = torch.randn(pixels, latent, generator=g, dtype=torch.float64) / latent**0.5
        self.noise = noise
        self.z = torch.randn(images, latent, generator=g, dtype=torch.float64)
        self.x = self.z @ self.w.T + noise * torch.randn(images, pixels, generator=g, dtype=torch.float64)
        marginal = self.w @ self.w.T + noise**2 * torch.eye(pixels, dtype=torch.float64)
        zero = torch.zeros(pixels, dtype=torch.float64)
        self.log_p = torch.distributions.MultivariateNormal(zero, marginal).log_prob(self.x)
        eye = torch.eye(latent, dtype=torch.float64)
        self.covariance = torch.linalg.inv(eye + self.w.T @ self.w / noise**2)
        self.mean = self.x @ self.w @ self.covariance / noise**2

    def likelihood(self, chains):
        wide = self.x.repeat_interleave(chains, 0)
        constant = wide.shape[1] * (math.log(self.noise) + 0.5 * math.log(2 * math.pi))
        return any_likelihood(lambda z: -0.5 * ((wide - z @ self.w.T) / self.noise).square().sum(1) - constant)

    def prior(self, chains):
        zero = torch.zeros(len(self.x) * chains, self.w.shape[1], dtype=torch.float64)
        return Start(zero, zero + 1)

    def diagonal(self, chains):
        return Start(
            self.mean.repeat_interleave(chains, 0), self.covariance.diag().sqrt().expand(len(self.x) * chains, -1)
        )


def ais_error(model, start, distributions, chains=16):
    torch.manual_seed(0)
    weights, _ = annealed_importance_sampling(start, model.likelihood(chains), chains, distributions, 10, "sigmoid")
    return log_mean_exp(weights, 1) - model.log_p


def test_ais_from_the_exact_posterior_has_no_variance():
    # a decoder with orthogonal columns has a diagonal posterior, which the start can be
    model = LinearGaussian(2, 20, 10)
    q, _ = torch.linalg.qr(model.w)
    model.w = q
    marginal = q @ q.T + 0.09 * torch.eye(20, dtype=torch.float64)
    model.log_p = torch.distributions.MultivariateNormal(torch.zeros(20, dtype=torch.float64), marginal).log_prob(
        model.x
    )
    model.covariance = torch.linalg.inv(torch.eye(2, dtype=torch.float64) + q.T @ q / 0.09)
    model.mean = model.x @ q @ model.covariance / 0.09
    torch.manual_seed(0)
    weights, _ = annealed_importance_sampling(model.diagonal(4), model.likelihood(4), 4, 50, 10, "sigmoid")
    assert (weights - model.log_p[:, None]).abs().max() < 1e-4


@pytest.mark.parametrize("latent", [2, 8])
def test_ais_from_a_diagonal_gaussian(latent):
    model = LinearGaussian(latent, 20, 100)
    assert abs(float(ais_error(model, model.diagonal(16), 300).mean())) < 0.05


@pytest.mark.parametrize(("latent", "bar"), [(2, 0.05), (8, 0.1)])
def test_ais_from_the_prior_and_the_bdmc_sandwich(latent, bar):
    model, chains = LinearGaussian(latent, 20, 100), 16
    error = ais_error(model, model.prior(chains), 1000)
    assert abs(float(error.mean())) < bar
    torch.manual_seed(1)
    exact_draws = torch.distributions.MultivariateNormal(model.mean, model.covariance).sample((chains,))
    reverse, _ = annealed_importance_sampling(
        model.prior(chains), model.likelihood(chains), chains, 1000, 10, "sigmoid",
        exact_draws.transpose(0, 1).reshape(-1, latent),
    )  # fmt: skip
    above = -log_mean_exp(reverse, 1) - model.log_p
    for gap, sign in ((error, 1), (above, -1)):  # lower bound below, upper bound above, up to 3 standard errors
        assert sign * float(gap.mean()) < 3 * float(gap.std()) / 10
    coarse = ais_error(model, model.prior(chains), 100)
    assert abs(float(error.mean())) < abs(float(coarse.mean()))


def test_ais_from_the_prior_in_32_dimensions():
    model = LinearGaussian(32, 100, 100)
    assert abs(float(ais_error(model, model.prior(16), 1000).mean())) < 0.8


def test_bernoulli_gradient_is_the_general_one():
    weight = torch.randn(12, 3)
    x = torch.bernoulli(torch.full((7, 12), 0.4))
    fast = bernoulli_likelihood(lambda z: z @ weight.T, x)
    slow = any_likelihood(lambda z: torch.distributions.Bernoulli(logits=z @ weight.T).log_prob(x).sum(1))
    z = torch.randn(7, 3)
    for a, b in zip(fast(z, True), slow(z, True), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert fast(z, False)[0] is None


def test_written_out_backward_is_autograds():
    from methods.networks.bodies import MLP
    from methods.networks.decoders import BernoulliDecoder

    x, z = torch.bernoulli(torch.full((7, 1, 3, 4), 0.4)), torch.randn(7, 3)
    for activation, short in (("relu", True), ("elu", False)):
        decoder = BernoulliDecoder((1, 3, 4), 3, MLP((3,), [8, 6], activation))
        assert (relu_layers(decoder) is not None) == short
        found = likelihood_for(decoder, x)(z, True)
        wanted = any_likelihood(lambda z, decoder=decoder: decoder.log_likelihood(x, z))(z, True)
        for a, b in zip(found, wanted, strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_forces_in_bf16_leave_the_chain_exact():
    """Linear-Gaussian x with forces rounded to bf16: energies in float64 keep the accept step exact."""
    model, chains = LinearGaussian(2, 20, 100), 16
    exact = model.likelihood(chains)

    def rounded(z, want_value):
        value, _ = exact(z, want_value)
        return value, exact(z.bfloat16().double(), False)[1].bfloat16().double()

    torch.manual_seed(0)
    weights, _ = annealed_importance_sampling(model.prior(chains), rounded, chains, 1000, 10, "sigmoid")
    assert abs(float((log_mean_exp(weights, 1) - model.log_p).mean())) < 0.05


def test_a_chain_whose_proposals_overflow_stays_finite():
    def likelihood(z, want_value):
        return torch.where(z[:, 0] > 0, torch.nan, 0.0), torch.zeros_like(z)

    start = Start(torch.full((8, 1), -3.0), torch.ones(8, 1))
    weights, _ = annealed_importance_sampling(start, likelihood, 4, 20)
    assert weights.isfinite().all()


def test_schedules_go_from_prior_to_posterior():
    for kind in ("linear", "sigmoid"):
        betas = schedule(100, kind)
        assert betas[0] == 0
        assert betas[-1] == pytest.approx(1)
        assert sorted(betas) == betas


@pytest.mark.parametrize(
    ("d", "shift", "low", "high"), [(1, 1.0, 0.45, 0.55), (2, 1.0, 0.93, 1.04), (10, 0.0, -0.05, 0.05)]
)
def test_knn_kl_anchors(d, shift, low, high):
    random = numpy.random.default_rng(0)
    p, q = random.standard_normal((10_000, d)), shift + random.standard_normal((10_000, d))
    assert low < knn_kl(p, q) < high


def test_knn_kl_is_the_trees_value():
    from scipy.spatial import cKDTree

    random = numpy.random.default_rng(1)
    p, q = random.standard_normal((2000, 10)), 0.5 + random.standard_normal((1500, 10))
    rho = cKDTree(p).query(p, [4])[0][:, 0]
    nu = cKDTree(q).query(p, [3])[0][:, 0]
    assert knn_kl(p, q) == pytest.approx(10 * numpy.log(nu / rho).mean() + math.log(1500 / 1999), abs=1e-9)


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        (numpy.zeros((10, 2)), numpy.zeros((10, 3)), "shapes"),
        (numpy.full((10, 2), numpy.nan), numpy.zeros((10, 2)), "NaN"),
        (numpy.random.rand(3, 2), numpy.random.rand(10, 2), "too few"),
        (numpy.zeros((10, 2)), numpy.random.rand(10, 2), "duplicate"),
    ],
)
def test_knn_kl_refuses_bad_draws(p, q, message):
    with pytest.raises(ValueError, match=message):
        knn_kl(p, q)


def test_quadrature_of_a_gaussian():
    axis = torch.linspace(-6, 6, 401)
    grid = torch.cartesian_prod(axis, axis).double()
    assert float(quadrature(log_standard_normal(grid), 12 / 400)) == pytest.approx(0.0, abs=1e-6)


def test_eight_schools_evidence_and_factorisation():
    problem = EightSchools()
    assert problem.log_evidence() == pytest.approx(-12.71081249236, abs=1e-9)
    textbook = EightSchools(sigma=(1.5, 1.0, 1.6, 1.1, 0.9, 1.1, 1.0, 1.8))
    assert textbook.log_evidence() == pytest.approx(-13.01152572233, abs=1e-9)
    z = torch.randn(5, 10, dtype=torch.float64)
    mirrored = torch.cat([z[:, :1], -z[:, 1:]], 1)
    assert torch.allclose(problem.log_likelihood(z, z), problem.log_likelihood(z, mirrored))
    theta = z[:, :1] + z[:, 1:2] * z[:, 2:]
    expected = torch.distributions.Normal(theta, problem.sigma).log_prob(problem.y).sum(1)
    assert torch.allclose(problem.log_likelihood(z, z), expected)


def test_eight_schools_exact_sampler_has_the_posteriors_moments():
    z = EightSchools().exact_draws(200_000, torch.Generator().manual_seed(0)).numpy()
    sign = numpy.sign(z[:, 1:2])
    eta = [1.0923, 0.0180, -0.5769, -0.0550, -0.7449, -0.4891, 0.8656, 0.4180]
    columns = [z[:, 0], abs(z[:, 1]), z[:, 1] ** 2, z[:, 1] > 0, *(z[:, 2:] * sign).T]
    truths = [0.776378, 0.702425, 0.622776, 0.5, *eta]
    for values, truth in zip(columns, truths, strict=True):
        assert abs(values.mean() - truth) < 4 * values.std() / len(z) ** 0.5 + 5e-5


PLANE = {  # the notebook's densities, written out, and how far z1 reaches
    "torus": (Torus(), lambda x, y: numpy.exp(-((x**2 + y**2 - 2) ** 2)), 4.0),
    "rosenbrock": (Rosenbrock(), lambda x, y: numpy.exp(-((x - 1) ** 2) - (y**2 - x) ** 2), 12.0),
}


@pytest.mark.parametrize("name", PLANE)
def test_plane_targets_are_normalised_and_their_samplers_exact(name):
    """Against a grid far beyond the tails, whose edges hold nothing."""
    target, density, reach = PLANE[name]
    x, y = numpy.meshgrid(numpy.linspace(-4, reach, 1601), numpy.linspace(-4, 4, 1601), indexing="ij")
    p = density(x, y)
    assert max(p[0].max(), p[-1].max(), p[:, 0].max(), p[:, -1].max()) < 1e-12
    cell = (x[1, 0] - x[0, 0]) * (y[0, 1] - y[0, 0])
    assert target.log_normaliser == pytest.approx(math.log(p.sum() * cell), abs=1e-6)
    z = target.exact_draws(200_000, torch.Generator().manual_seed(0)).numpy()
    for of in (lambda x, y: x, lambda x, y: y, lambda x, y: x * y * y, lambda x, y: x > 3.0, lambda x, y: abs(y) > 1.5):
        values, truth = of(z[:, 0], z[:, 1]), (of(x, y) * p).sum() / p.sum()
        assert abs(values.mean() - truth) < 4 * values.std() / len(z) ** 0.5 + 2e-3


def test_rosenbrocks_two_branches():
    """The notebook's density: z2 = +-sqrt(z1), so that z2 has two modes at +-1 and a valley between."""
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0], [4.0, 2.0]])
    assert Rosenbrock().log_likelihood(z, z).tolist() == [0, 0, -1, -9]
    z2 = Rosenbrock().exact_draws(100_000, torch.Generator().manual_seed(0))[:, 1]
    near = [float(((z2 - at).abs() < 0.1).double().mean()) for at in (-1, 0, 1)]
    assert near[0] == pytest.approx(near[2], rel=0.05)
    assert near[1] < 0.7 * near[0]


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
