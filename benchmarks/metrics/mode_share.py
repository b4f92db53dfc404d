"""Whether q has both modes of Eight Schools, tau > 0 and tau < 0: the excess mass of the smaller one.

That is the mass of tau on the poorer side which lies above the density at tau = 0 (Mueller & Sawitzki 1991): 0 for one
mode on one side and for one blob around 0, which a share of tau > 0 takes for balance.
"""

import numpy

from benchmarks.errors import NotRunError
from benchmarks.metrics.kl_to_posterior import draws_of
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("encode", "problem")
UNIT = "share of q"
KIND = "estimate"
BETTER = "neither"
BIAS = "upward by noise: below 0.01 near the posterior, up to 0.03 for a q several times as wide"
ERROR = "over draws of q"
VARIES = "samples"
LIMITS = (0.0, 0.5)
STEP = 1.0
STEP_DETAILS = ("smaller share", "share of tau > 0", "mass within 0.1 of tau = 0")
NEAR = 0.1  # |tau| below which is near 0; the bins of the other tau are as wide


def modes(tau: numpy.ndarray) -> dict[str, float]:
    """Of draws of tau [n]: excess mass of the smaller mode, and what it is made of."""
    n, bins = len(tau), numpy.round(tau / (2 * NEAR))
    middle = float((bins == 0).mean())
    excess, peaks = [], []
    for side in (1, -1):
        counts = numpy.unique(bins[side * bins > 0], return_counts=True)[1] / n
        excess.append(float((counts - middle).clip(0).sum()))
        peaks.append(float(counts.max(initial=0.0)))
    share = float((tau > 0).mean())
    return {
        "excess mass of the smaller mode": min(excess),
        "share of tau > 0": share,
        "smaller share": min(share, 1 - share),
        "mass within 0.1 of tau = 0": middle,
        "density of the lower mode over that at 0": min(peaks) / max(middle, 1 / n),
        "mean abs tau": float(abs(tau).mean()),
    }


def evaluate(trained: Trained, *, n: int = 10_000) -> Estimate:
    """0.274 under the posterior, whose mass within 0.1 of tau = 0 is 0.0302."""
    if trained.dataset != "eight-schools":
        raise NotRunError(f"{trained.dataset} has no sign symmetry in tau")
    tau = draws_of(trained, n)[:, 1]
    found = modes(tau)
    random = numpy.random.default_rng(0)
    again = [modes(random.choice(tau, n))["excess mass of the smaller mode"] for _ in range(100)]
    return Estimate(found["excess mass of the smaller mode"], float(numpy.std(again, ddof=1)), n, f"n={n}", dict(found))
