"""Standard errors of scores of samples: 95 % intervals hold the mean over fresh samples 90 to 98 % of the time."""

import math

import numpy
import pytest
from scipy.stats import binom

from benchmarks.metrics.estimators.mmd import kernel_distance
from benchmarks.metrics.estimators.scores import frechet_distance, frechet_error, inception_scores, moments, score_error

REPEATS = 200


def covered(draw, truth=None) -> float:
    """Share of REPEATS intervals value +- 1.96 errors that hold the truth, or the mean of all values."""
    values, errors = numpy.array([draw(numpy.random.default_rng(seed)) for seed in range(REPEATS)]).T
    return float((abs(values - (values.mean() if truth is None else truth)) < 1.96 * errors).mean())


def acceptable(share: float) -> bool:
    """Whether REPEATS intervals can show this share if the true one is within 0.90 to 0.98."""
    low, high = binom.ppf(0.005, REPEATS, 0.90) / REPEATS, binom.ppf(0.995, REPEATS, 0.98) / REPEATS
    return low <= share <= high


def class_probabilities(random, n):
    """Of images of ten classes, some sure and some not."""
    logits = random.normal(size=(n, 10))
    logits[numpy.arange(n), random.integers(10, size=n)] += random.choice([0.0, 2.0, 4.0], size=n)
    p = numpy.exp(logits)
    return p / p.sum(1, keepdims=True)


@pytest.mark.parametrize(("n", "splits"), [(256, 4), (1000, 10), (50, 1)])
def test_inception_score(n, splits):
    def draw(random):
        p = class_probabilities(random, n)
        return float(inception_scores(p, splits).mean()), score_error(p, splits)

    assert acceptable(covered(draw))


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (80, 400)])
def test_kernel_distance(n, m, shift):
    def draw(random):
        x, y = random.normal(size=(n, 4)) + 0.2, random.normal(size=(m, 4)) + 0.2 + shift
        found = kernel_distance(x, y, 15, n // 2, "")
        return found.value, found.standard_error

    share = covered(draw)
    # equal distributions: the distance is no Gaussian there, and 1.96 of its true errors hold it more often too
    assert acceptable(share) or (shift == 0 and share >= 0.9)


def test_kernel_distances_error_is_its_spread():
    """At equality, where a jackknife is 1.4 times too wide, and far from it."""
    for shift in (0.0, 1.0):
        found = []
        for seed in range(REPEATS):
            random = numpy.random.default_rng(seed)
            x, y = random.normal(size=(100, 4)) + 0.2, random.normal(size=(100, 4)) + 0.2 + shift
            found.append(kernel_distance(x, y, 15, 50, ""))
        values, errors = numpy.array([(e.value, e.standard_error) for e in found]).T
        assert math.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.15)


@pytest.mark.parametrize(("n", "d", "shift"), [(256, 16, 0.0), (256, 32, 0.3), (60, 32, 0.3), (30, 32, 0.3)])
def test_frechet_distance(n, d, shift):
    """Also of fewer images than features; of equal distributions and of others."""
    stretch = numpy.linspace(0.5, 1.5, d) if shift else numpy.ones(d)
    real = numpy.zeros(d), numpy.eye(d)

    def draw(random):
        x = random.normal(size=(n, d)) * stretch + shift
        return frechet_distance(moments(x), real), frechet_error(x, real)

    assert acceptable(covered(draw))
