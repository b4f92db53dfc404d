"""Inception score of samples by Inception (Salimans et al. 2016): mean over splits; higher is better."""

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.inception import CHECKSUM, inception_of
from benchmarks.metrics.scores import sample_judged, score_estimate

NEEDS = ("sample", "data")
UNIT = "score, at most 1008"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward for few images in a split, which estimate the marginal"
ERROR = "over samples, a jackknife within splits"
IMAGES = "samples"
FILES = ("pt_inception-2015-12-05-6726825d.pth",)


def evaluate(trained: Trained, *, n: int = 50_000, splits: int = 10, download: bool = True) -> Estimate:
    """The port to PyTorch differs from the original graph by its resizing."""
    judge = inception_of(trained, download)
    p = sample_judged(trained, judge, f"inception-{CHECKSUM}", n)[1]
    return score_estimate(p, splits, "Inception (pytorch-fid)")
