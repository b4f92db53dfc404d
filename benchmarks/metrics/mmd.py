"""Squared maximum mean discrepancy with the cubic kernel of the kernel inception distance (Binkowski et al. 2018)."""

import numpy

from benchmarks.jobs.trained import Estimate

PROPORTION = 0.5  # of the images that a subset may hold at most: its error is a delete-d jackknife's


def cubic(x: numpy.ndarray, y: numpy.ndarray) -> numpy.ndarray:
    """k(x, y) = (x'y / d + 1)^3 [n, m] of features x [n, d], y [m, d]."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def squared_mmd(x: numpy.ndarray, y: numpy.ndarray) -> float:
    """Unbiased E k(x, x') + E k(y, y') - 2 E k(x, y) from features [n, d] and [m, d]; it can be below zero.

    ValueError for fewer than two rows of either.
    """
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"squared MMD: needs two rows of each at least, got {n} and {m}")
    xx, yy, xy = cubic(x, x), cubic(y, y), cubic(x, y)
    return float((xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1)) - 2 * xy.mean())


def kernel_distance(x: numpy.ndarray, y: numpy.ndarray, subsets: int, size: int, judge: str) -> Estimate:
    """Mean of `squared_mmd` over random subsets of `size` of each (Binkowski et al. 2018, section 4), with its error.

    Subsets of one pool overlap, so their spread over the root of their number is no error. Leaving out n - s of n, it
    is a delete-d jackknife (Shao & Wu 1989): the error is the spread times sqrt(s / (n - s)), with the smaller n.
    """
    n = min(len(x), len(y))
    s = min(size, int(PROPORTION * n))
    random = numpy.random.default_rng(0)
    found = [
        squared_mmd(x[random.choice(len(x), s, False)], y[random.choice(len(y), s, False)]) for _ in range(subsets)
    ]
    error = float(numpy.std(found, ddof=1) * (s / (n - s)) ** 0.5)
    protocol = f"{judge}, n={len(x)}, {len(y)} training images, {subsets} subsets of {s}"
    return Estimate(float(numpy.mean(found)), error, len(x), protocol)
