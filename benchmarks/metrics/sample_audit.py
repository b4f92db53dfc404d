"""Copying: how often a sample is nearer to its nearest training image than a test image to its own.

1/2 where samples are as near as test images are, 1 where they are copies, 0 where they are far from all data: the
Mann-Whitney statistic of Meehan, Chaudhuri & Dasgupta 2020. Distances are Euclidean, in the features of the dataset's
classifier where it has one, else in pixels. The detail `duplicates` is the share of samples that are nearer to another
sample than any test image is to another one.
"""

import numpy
from scipy.stats import rankdata
from sklearn.neighbors import NearestNeighbors

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators.scores import judged
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data")
UNIT = "share"
KIND = "estimate"
BETTER = "neither"
BIAS = "downward: poor samples, far from all data, hide copies among the others"
ERROR = "over samples and test images"
VARIES = "samples"
LIMITS = (0.0, 1.0)
IMAGES = "samples and test images against training images"


def nearest(points: numpy.ndarray, among: numpy.ndarray | None = None) -> numpy.ndarray:
    """Distance [n] of each of `points` [n, d] to the nearest of `among` [m, d], or to the nearest other of them."""
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points if among is None else among)
    return search.kneighbors(None if among is None else points)[0][:, 0]


def nearer(samples: numpy.ndarray, test: numpy.ndarray) -> tuple[float, float, float]:
    """Share of pairs with samples [n] < test [m], ties half, and its standard errors (DeLong et al. 1988).

    Over both, and the part of it that is over `test`.
    """
    n, m = len(samples), len(test)
    ranks = rankdata(numpy.concatenate([samples, test]))
    above = (ranks[n:] - rankdata(test)) / n  # share of samples below each test image
    below = 1 - (ranks[:n] - rankdata(samples)) / m  # share of test images above each sample
    over_test = above.var(ddof=1) / m
    return float(above.mean()), float((below.var(ddof=1) / n + over_test) ** 0.5), float(over_test**0.5)


def evaluate(trained: Trained, *, n: int = 1000, train: int = 50_000) -> Estimate:
    """n samples and n test images against `train` training images; NotRunError where test images are drawn bits."""
    if trained.data is None or trained.data.train.pixels_as == "binarised":
        raise NotRunError("test images are bits, samples and training images are grey: no distance compares them")
    images, where = (trained.samples(n), trained.test_x(n), trained.train_x(train)), "pixels"
    if trained.find_classifier is None:
        features = [x.flatten(1).cpu().numpy() for x in images]
    else:
        judge = trained.classifier().judge
        features, where = [judged(judge, x)[0] for x in images], "classifier's features"
    fake, test, real = features
    value, error, over_test = nearer(nearest(fake, real), nearest(test, real))
    details: dict[str, float | str] = {"duplicates": float((nearest(fake) < nearest(test).min()).mean())}
    protocol = f"{where}, n={n}, {len(test)} test, {len(real)} training images"
    return Estimate(value, error, len(fake), protocol, details, images_error=over_test)
