"""Inception score of samples by Inception (Salimans et al. 2016): mean over splits; higher is better."""

from benchmarks.metrics.estimators.inception import CHECKSUM, inception_of
from benchmarks.metrics.estimators.scores import sample_score
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data")
UNIT = "score, at most 1008"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward for few images in a split, which estimate the marginal"
ERROR = "over samples, a jackknife within splits"
VARIES = "samples"
LIMITS = (1.0, 1008.0)
CONTROLS = ("noise",)
IMAGES = "samples"
FILES = ("pt_inception-2015-12-05-6726825d.pth",)


def evaluate(trained: Trained, *, n: int = 50_000, splits: int = 10, download: bool = True) -> Estimate:
    """The port to PyTorch differs from the original graph by its resizing. Control: shuffled training images."""
    judge = inception_of(trained, download)
    return sample_score(trained, judge, f"inception-{CHECKSUM}", "Inception (pytorch-fid)", n, splits)
