"""Frechet distance of Inception's features of samples and of training images (Heusel et al. 2017); lower is better.

It falls about as 1/n towards its limit, so n is part of the protocol.
"""

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.inception import CHECKSUM, inception_of
from benchmarks.metrics.scores import frechet_distance, moments, real_moments, sample_judged

NEEDS = ("sample", "data")
UNIT = "squared distance"
KIND = "estimate"
BETTER = "lower"
BIAS = "upward, about C/n: compare at equal n only"
FILES = ("pt_inception-2015-12-05-6726825d.pth",)


def evaluate(trained: Trained, *, n: int = 50_000, download: bool = True) -> Estimate:
    """n samples against at most n training images."""
    judge, key = inception_of(trained, download), f"inception-{CHECKSUM}"
    real, m = real_moments(trained, judge, key, n)
    value = frechet_distance(moments(sample_judged(trained, judge, key, n)[0]), real)
    return Estimate(value, None, n, f"Inception (pytorch-fid), n={n}, {m} training images")
