"""The rules of an HMC reference: each fails where it must, and all hold of a right sample."""

import math
from dataclasses import replace
from functools import cache

import numpy
import pytest
import torch

from benchmarks.posteriors import EightSchools, hmc, references
from methods.training.atomic_files import read_arrays

CONVERSION = "error:Conversion of an array with ndim > 0 to a scalar:DeprecationWarning"  # a TypeError in newer numpy
GOOD = {
    "kept HMC draws": 10_000.0,
    "divergences": 0.0,
    "least E-BFMI of a chain": 0.73,
    "greatest R-hat": 1.0012,
    "greatest lag-1 autocorrelation": 0.021,
    "least effective sample size": 9600.0,
    "greatest effective sample size": 10_300.0,
    "greatest z-score": 2.87,
}


def wrong(numbers: dict[str, float], declared: int) -> dict[str, str]:
    """Name of each number that breaks its rule -> what is wrong."""
    return {rule.split(",")[0]: text for rule, text in hmc.checks(numbers, declared).items() if text}


@cache
def pool() -> numpy.ndarray:
    """Exact draws of Eight Schools [220,000, 10]."""
    return EightSchools().exact_draws(220_000, torch.Generator().manual_seed(0)).numpy()


def independent(seed: int, each: int = 200) -> tuple[hmc.Chains, numpy.ndarray]:
    """(exact draws of Eight Schools as 20 chains of HMC, others to compare them with)."""
    random = numpy.random.default_rng(seed)
    z = random.choice(pool()[20_000:], (20, each), replace=False)
    return hmc.Chains(z, numpy.zeros((20, each), dtype=bool), random.normal(size=(20, each))), pool()[:20_000]


def repeated(found: hmc.Chains, share: float) -> hmc.Chains:
    """The draws, a share of which are the one before them again: as right, and correlated by as much."""
    z, random = found.z.copy(), numpy.random.default_rng(0)
    for t in range(1, z.shape[1]):
        same = random.random(len(z)) < share
        z[same, t] = z[same, t - 1]
    return replace(found, z=z)


def judged(found: hmc.Chains, exact: numpy.ndarray, thin: int = 1) -> dict[str, str]:
    return wrong(hmc.diagnostics(found, thin, exact), found.energy.size // thin)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("greatest R-hat", 1.0195, "greatest R-hat, at most 1.01: is 1.0195"),
        ("divergences", 1.0, "divergences, at most 0: is 1"),
        ("greatest z-score", 4.1, "greatest z-score, at most 4: is 4.1"),
        ("least E-BFMI of a chain", 0.19, "least E-BFMI of a chain, at least 0.2: is 0.19"),
        ("greatest lag-1 autocorrelation", 0.051, "greatest lag-1 autocorrelation, at most 0.05: is 0.051"),
        ("least effective sample size", 8900.0, "least effective sample size, at least 8941.7: is 8900"),
        ("greatest effective sample size", 11_100.0, "greatest effective sample size, at most 11058: is 11100"),
    ],
)
def test_each_rule_fails_with_its_line(name, value, line):
    assert not wrong(GOOD, 10_000)
    for broken in (value, math.nan):
        assert list(wrong({**GOOD, name: broken}, 10_000)) == [name]
    found = hmc.checks({**GOOD, name: value}, 10_000)
    assert [f"{rule}: {text}" for rule, text in found.items() if text] == [line]


def test_as_many_draws_as_declared_are_kept():
    assert wrong(GOOD, 10_001) == {"kept HMC draws": "is 10000"}


def test_independent_draws_pass_ninety_nine_times_in_a_hundred():
    assert sum(bool(judged(*independent(seed))) for seed in range(100)) <= 1


def test_draws_of_another_posterior_fail():
    found, exact = independent(0)
    z = found.z.copy()
    z[..., 0] += 0.05  # a sixth of the standard deviation of mu
    assert list(judged(replace(found, z=z), exact)) == ["greatest z-score"]


def test_correlated_draws_fail_and_thinning_helps():
    found, exact = independent(0, each=1000)
    chains = repeated(found, 0.5)
    assert {"greatest lag-1 autocorrelation", "least effective sample size"} <= set(judged(chains, exact))
    assert not judged(chains, exact, thin=8)


def test_a_stuck_chain_fails():
    found, exact = independent(0)
    z = found.z.copy()
    z[3] = z[3, :1]
    assert "greatest R-hat" in judged(replace(found, z=z), exact)
    z[:] = z[:, :1]
    assert {"greatest R-hat", "greatest lag-1 autocorrelation"} <= set(judged(replace(found, z=z), exact))


def test_chains_in_different_modes_pass_as_signs_are_flipped():
    """A chain that never changes the sign of tau is as good as one that does: the posterior is the same there."""
    found, exact = independent(0)
    z = found.z.copy()
    z[..., 1:] *= numpy.sign(z[..., 1:2]) * numpy.where(numpy.arange(20) < 14, 1.0, -1.0)[:, None, None]
    assert not judged(replace(found, z=z), exact)
    flipped = hmc.kept_draws(z, 1, seed=0)
    assert abs((flipped[:, 1] > 0).mean() - 0.5) < 4 * 0.5 / len(flipped) ** 0.5
    as_rows = lambda kept: numpy.unique(hmc.folded(kept.reshape(-1, 10)), axis=0)  # noqa: E731
    assert numpy.array_equal(as_rows(flipped), as_rows(z))
    assert numpy.array_equal(z[0, 0, 1:], abs(z[0, 0, 1]) / z[0, 0, 1] * z[0, 0, 1:])  # and z is as it was


def test_a_divergence_and_a_slow_energy_fail():
    found, exact = independent(0)
    diverging = found.diverging.copy()
    diverging[4, 7] = True
    assert judged(replace(found, diverging=diverging), exact) == {"divergences": "is 1"}
    energy = found.energy.copy()
    energy[2] = numpy.cumsum(energy[2])
    assert list(judged(replace(found, energy=energy), exact)) == ["least E-BFMI of a chain"]


@pytest.fixture(scope="module")
def small():
    """(a small sample of Eight Schools by HMC, exact references)."""
    problem = EightSchools()
    exact = problem.exact_draws(2000, torch.Generator().manual_seed(0)).numpy()
    return hmc.sample(problem.y.numpy(), problem.sigma.numpy(), chains=20, draws=2000, warmup=300, seed=1), exact


@pytest.mark.filterwarnings(CONVERSION)
def test_diagnostics_are_plain_numbers_whatever_arviz_gives(small, monkeypatch):
    """Where numba is installed, arviz.mcse gives an array of one element."""
    import arviz

    plain = hmc.diagnostics(small[0], 10, small[1])
    assert all(math.isfinite(value) for value in plain.values())
    assert sum(name.startswith("z-score") for name in plain) == 11
    real = arviz.mcse
    monkeypatch.setattr(arviz, "mcse", lambda values, method: numpy.atleast_1d(real(values, method=method)))
    assert hmc.diagnostics(small[0], 10, small[1]) == plain


def test_a_small_sample_passes(small):
    assert not judged(*small, thin=10)


def test_draws_that_fail_are_not_kept(small, monkeypatch, tmp_path):
    options = {"exact": 2000, "hmc_draws": 40_000, "warmup": 300, "chains": 20, "thin": 10}
    monkeypatch.setattr(hmc, "sample", lambda *arguments, **options: small[0])
    made = references.make_reference("eight-schools", tmp_path, options, "hmc")
    assert set(made.checks.values()) == {""}
    assert {rule.split(",")[0] for rule in made.checks} <= set(made.numbers)
    assert read_arrays(tmp_path / "eight-schools.npz")["hmc"].shape == (4000, 10)
    diverged = replace(small[0], diverging=numpy.ones_like(small[0].diverging))
    monkeypatch.setattr(hmc, "sample", lambda *arguments, **options: diverged)
    made = references.make_reference("eight-schools", tmp_path, options, "hmc")
    assert made.checks["divergences, at most 0"] == "is 40000"
    assert set(read_arrays(tmp_path / "eight-schools.npz")) == {"exact"}
    assert references.make_reference("torus", tmp_path, options).checks == {}


def test_the_suites_tests_turn_such_a_conversion_into_an_error():
    with pytest.raises((DeprecationWarning, TypeError), match=r"array with ndim > 0|only 0-dimensional arrays|scalar"):
        float(numpy.ones(1))
