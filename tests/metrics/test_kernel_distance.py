"""KID's estimator against moments of Gaussians, and its error against the spread over draws; the audit of samples."""

from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from scipy.stats import norm

from benchmarks.errors import NotRunError
from benchmarks.metrics import sample_audit
from benchmarks.metrics.estimators.mmd import cubic, kernel_distance, squared_mmd
from benchmarks.metrics.sample_audit import nearer, nearest
from benchmarks.metrics.trained import Trained

D = 4


def expected_kernel(m1: numpy.ndarray, m2: numpy.ndarray) -> float:
    """E (x'y / d + 1)^3 for independent x ~ N(m1, I), y ~ N(m2, I), in closed form.

    Given y, x'y is N(a, b) with a = m1'y, b = |y|^2; the third moment of N(c, v) is c^3 + 3 c v. What is left are
    moments of a = m1'y and of a|y|^2 under y ~ N(m2, I).
    """
    d, t, s1, s2 = len(m1), m1 @ m2, m1 @ m1, m2 @ m2
    first, second = t, t**2 + s1 + s2 + d  # of x'y: E a, E (a^2 + b)
    third = t**3 + 3 * t * s1 + 3 * (t * (s2 + d) + 2 * t)  # E a^3 + 3 E (a b)
    return float(third / d**3 + 3 * second / d**2 + 3 * first / d + 1)


def test_the_closed_form_is_that_of_numerical_integration():
    m1, m2 = numpy.array([0.5]), numpy.array([-1.0])
    nodes, weights = numpy.polynomial.hermite_e.hermegauss(20)
    weights = weights / weights.sum()
    x, y = nodes[:, None] + m1, nodes[:, None] + m2
    assert weights @ cubic(x, y) @ weights == pytest.approx(expected_kernel(m1, m2), rel=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_unbiased_and_with_an_error_that_is_the_spread(shift):
    m1, m2 = numpy.full(D, 0.2), numpy.full(D, 0.2 + shift)
    truth = expected_kernel(m1, m1) + expected_kernel(m2, m2) - 2 * expected_kernel(m1, m2)
    random, found = numpy.random.default_rng(0), []
    for _ in range(200):
        x, y = random.normal(size=(160, D)) + m1, random.normal(size=(160, D)) + m2
        found.append(kernel_distance(x, y, 40, 60, "a judge"))
    values, errors = numpy.array([(e.value, e.standard_error) for e in found]).T
    assert abs(values.mean() - truth) < 4 * values.std() / 200**0.5
    ratio = errors.mean() / values.std()
    assert (0.85 < ratio < 1.2) if shift else (1 < ratio < 3)  # near zero the jackknife is known to be cautious
    assert found[0].protocol == "a judge, n=160, 160 training images, 40 subsets of 60"


def test_subsets_never_hold_more_than_half_and_too_few_rows_are_an_error():
    x = numpy.random.default_rng(0).normal(size=(10, 3))
    assert "subsets of 5" in kernel_distance(x, x, 3, 1000, "").protocol
    with pytest.raises(ValueError, match="two rows"):
        squared_mmd(x[:1], x)


def test_the_share_of_nearer_pairs_and_its_error():
    value, *_ = nearer(numpy.array([1.0, 2.0, 3.0]), numpy.array([2.0, 4.0]))
    assert value == pytest.approx(4.5 / 6)
    random = numpy.random.default_rng(0)
    draws = [nearer(random.normal(size=60), random.normal(0.5, 1, size=90))[:2] for _ in range(400)]
    values, errors = numpy.array(draws).T
    assert values.mean() == pytest.approx(norm.cdf(0.5 / 2**0.5), abs=4 * values.std() / 20)
    assert errors.mean() == pytest.approx(values.std(), rel=0.12)


def test_nearest_of_the_others():
    points = numpy.array([[0.0], [1.0], [5.0]])
    assert nearest(points).tolist() == [1, 1, 4]
    assert nearest(points, numpy.array([[0.5], [5.0]])).tolist() == [0.5, 0.5, 0]


def test_the_audit_refuses_bits_and_counts_duplicates(tmp_path):
    images = torch.rand(60, 1, 4, 4)

    def trained(samples, pixels_as="grey"):
        train = SimpleNamespace(pixels=(images * 255).byte(), pixels_as=pixels_as)
        data = SimpleNamespace(train=train, test_x=torch.rand(60, 1, 4, 4))
        pieces = iter([samples])
        method = SimpleNamespace(sample=lambda n, device: next(pieces))
        return Trained(method, 1, "images", data, None, Path(), tmp_path, torch.device("cpu"))  # type: ignore[arg-type]

    with pytest.raises(NotRunError, match="bits"):
        sample_audit.evaluate(trained(images, "binarised"))
    one_image = torch.rand(1, 1, 4, 4).expand(60, -1, -1, -1)
    assert sample_audit.evaluate(trained(one_image), n=60).details["duplicates"] == 1
    fresh = sample_audit.evaluate(trained(torch.rand(60, 1, 4, 4)), n=60)
    assert fresh.details["duplicates"] < 0.1
    assert abs(fresh.value - 0.5) < 4 * fresh.standard_error
    assert sample_audit.evaluate(trained((images * 255).byte() / 255), n=60).value == 1
