"""The diagnostics of a small HMC sample, as plain numbers."""

import math

import numpy
import pytest
import torch

from benchmarks.problems import EightSchools
from benchmarks.references import hmc

CONVERSION = "error:Conversion of an array with ndim > 0 to a scalar:DeprecationWarning"  # a TypeError in newer numpy


@pytest.fixture(scope="module")
def small():
    """(a small sample of Eight Schools by HMC, exact draws)."""
    problem = EightSchools()
    exact = problem.exact_draws(2000, torch.Generator().manual_seed(0)).numpy()
    return hmc.sample(problem.y.numpy(), problem.sigma.numpy(), chains=2, draws=200, warmup=200, seed=1), exact


@pytest.mark.filterwarnings(CONVERSION)
def test_diagnostics_are_plain_numbers_whatever_arviz_gives(small, monkeypatch):
    """Where numba is installed, arviz.mcse gives an array of one element."""
    import arviz

    plain = hmc.diagnostics(*small)
    assert all(math.isfinite(value) for value in plain.values())
    scores = {name: value for name, value in plain.items() if name.startswith("z-score")}
    assert len(scores) == 11
    assert max(map(abs, scores.values())) < 6  # in standard errors, 11 of a short chain
    real = arviz.mcse
    monkeypatch.setattr(arviz, "mcse", lambda values, method: numpy.atleast_1d(real(values, method=method)))
    assert hmc.diagnostics(*small) == plain


def test_the_suites_tests_turn_such_a_conversion_into_an_error():
    with pytest.raises((DeprecationWarning, TypeError), match=r"array with ndim > 0|only 0-dimensional arrays|scalar"):
        float(numpy.ones(1))
