"""Squared maximum mean discrepancy with the cubic kernel of the kernel inception distance (Binkowski et al. 2018)."""

from dataclasses import dataclass

import numpy

from benchmarks.metrics.trained import Estimate

PROPORTION = 0.5  # of the images that a subset may hold at most


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


@dataclass(frozen=True)
class Components:
    """Parts of the variance of `squared_mmd` (Hoeffding's decomposition): of its terms linear in x and in y, and of the
    kernels between two x, two y, and an x and a y, with their means taken out."""

    x: float
    y: float
    xx: float
    yy: float
    xy: float

    def variance(self, n: int, m: int) -> float:
        """Of the estimate from n and m images; the linear parts are unbiased and may be below 0 near equality."""
        second = 2 * self.xx / n**2 + 2 * self.yy / m**2 + 4 * self.xy / (n * m)
        return max(4 * self.x / n + 4 * self.y / m + second, second / 2)

    def variance_of_y(self, m: int) -> float:
        """The part of it that is over y alone."""
        second = 2 * self.yy / m**2
        return max(4 * self.y / m + second, second / 2)


def components(x: numpy.ndarray, y: numpy.ndarray) -> Components:
    """Unbiased estimates of the parts from features x [s, d] and y [s, d]."""
    s = len(x)

    def within(kernel: numpy.ndarray) -> tuple[numpy.ndarray, float]:
        """Means of the rows [s] without their diagonal, and the variance of what rows and columns leave."""
        off = kernel - numpy.diag(numpy.diag(kernel))
        rows = off.sum(1) / (s - 1)
        centre = rows.mean()
        effect = (rows - centre) * (s - 1) / (s - 2)
        left = off - effect[:, None] - effect - centre
        numpy.fill_diagonal(left, 0.0)
        return rows, float((left**2).sum() / (s * (s - 3)))

    (rows_x, xx), (rows_y, yy), cross = within(cubic(x, x)), within(cubic(y, y)), cubic(x, y)
    left = cross - cross.mean(1)[:, None] - cross.mean(0) + cross.mean()
    xy = float((left**2).sum() / (s - 1) ** 2)
    linear_x = (rows_x - cross.mean(1)).var(ddof=1) - xx / s - xy / s
    linear_y = (rows_y - cross.mean(0)).var(ddof=1) - yy / s - xy / s
    return Components(float(linear_x), float(linear_y), xx, yy, xy)


def kernel_distance(x: numpy.ndarray, y: numpy.ndarray, subsets: int, size: int, judge: str) -> Estimate:
    """Mean of `squared_mmd` over random subsets of `size` of each (Binkowski et al. 2018, section 4), with its error.

    The mean over all subsets is `squared_mmd` of all images, whose variance over images has five parts; each is
    estimated in every subset. The choice of the subsets adds their spread over the root of their number.
    """
    n = min(len(x), len(y))
    s = min(size, int(PROPORTION * n))
    random = numpy.random.default_rng(0)
    found, parts = [], []
    for _ in range(subsets):
        one, other = x[random.choice(len(x), s, False)], y[random.choice(len(y), s, False)]
        found.append(squared_mmd(one, other))
        if s > 3:
            parts.append(components(one, other))
    error = of_real = of_choice = None
    if parts and subsets > 1:
        mean = Components(*numpy.mean([[c.x, c.y, c.xx, c.yy, c.xy] for c in parts], 0))
        of_choice = float((numpy.var(found, ddof=1) / subsets) ** 0.5)
        of_real = mean.variance_of_y(len(y)) ** 0.5
        error = (mean.variance(len(x), len(y)) + of_choice**2) ** 0.5
    protocol = f"{judge}, n={len(x)}, {len(y)} training images, {subsets} subsets of {s}"
    return Estimate(float(numpy.mean(found)), error, len(x), protocol, images_error=of_real, draws_error=of_choice)
