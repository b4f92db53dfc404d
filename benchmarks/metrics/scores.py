"""Inception score and Frechet distance, of any network that gives features and class probabilities.

The mathematics first: arrays in, numbers out. A judge is a function of images [n, *x_shape] in [0, 1] that returns
features [n, d] and class logits [n, classes]: Inception (inception.py), or the dataset's own classifier.
"""

from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from torch import Tensor

from benchmarks.jobs.trained import Trained
from methods.files import DamagedError, read_arrays, write_arrays

Judge = Callable[[Tensor], tuple[Tensor, Tensor]]
Moments = tuple[numpy.ndarray, numpy.ndarray]


def inception_scores(p: numpy.ndarray, splits: int = 10) -> numpy.ndarray:
    """exp(mean KL(p(y|x) || p(y))) of each of `splits` consecutive parts of p [n, classes] (Salimans et al. 2016).

    ValueError if there are fewer rows than splits, or if a row is no distribution.
    """
    p = numpy.asarray(p, dtype=numpy.float64)
    if len(p) < splits:
        raise ValueError(f"inception score: {len(p)} images for {splits} splits; give more images or fewer splits")
    if not numpy.allclose(p.sum(1), 1, atol=1e-4) or (p < 0).any():
        raise ValueError("inception score: rows must be probabilities of classes")
    found = []
    for part in numpy.array_split(p, splits):
        log_ratio = numpy.log(numpy.maximum(part, 1e-300)) - numpy.log(part.mean(0, keepdims=True).clip(1e-300))
        found.append(numpy.exp((part * log_ratio).sum(1).mean()))
    return numpy.array(found)


def moments(features: numpy.ndarray) -> Moments:
    """Mean [d] and covariance [d, d] of features [n, d], float64; ValueError for fewer than two rows or NaN."""
    features = numpy.asarray(features, dtype=numpy.float64)
    if len(features) < 2 or not numpy.isfinite(features).all():
        raise ValueError(f"Frechet distance: needs two finite rows of features at least, got {features.shape}")
    return features.mean(0), numpy.atleast_2d(numpy.cov(features, rowvar=False))


def frechet_distance(one: Moments, other: Moments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Heusel et al. 2017, eq. 6).

    The root's trace is that of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric: its eigenvalues are real, and stay
    right where covariances are singular, as they are for fewer images than features.
    """
    (m1, c1), (m2, c2) = one, other
    values, vectors = numpy.linalg.eigh(c1)
    root = (vectors * numpy.sqrt(values.clip(0))) @ vectors.T
    cross = numpy.sqrt(numpy.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()
    return float(((m1 - m2) ** 2).sum() + numpy.trace(c1) + numpy.trace(c2) - 2 * cross)


def judged(judge: Judge, x: Tensor, batch: int = 64) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Features [n, d] and class probabilities [n, classes] of images, float64."""
    with torch.no_grad():
        pieces = [judge(piece) for piece in x.split(batch)]
    features = torch.cat([f for f, _ in pieces]).double()
    return features.cpu().numpy(), torch.cat([t for _, t in pieces]).double().softmax(1).cpu().numpy()


def kept(path: Path, make: Callable[[], dict[str, numpy.ndarray]]) -> dict[str, numpy.ndarray]:
    """The arrays of a file, which is made first if it is not there or damaged."""
    try:
        return read_arrays(path)
    except (FileNotFoundError, DamagedError):
        arrays = make()
        write_arrays(path, arrays)  # whole or not there, whoever else writes it
        return arrays


def real_moments(trained: Trained, judge: Judge, key: str, n: int) -> tuple[Moments, int]:
    """Moments of the first n training images and how many there are; kept in a file, as they are the same for all runs.

    `key` names the judge and its weights.
    """
    x = trained.train_x(n)
    path = trained.references / "statistics" / f"{trained.dataset}-{key}-{len(x)}.npz"
    stored = kept(path, lambda: dict(zip(("mean", "covariance"), moments(judged(judge, x)[0]), strict=True)))
    return (stored["mean"], stored["covariance"]), len(x)


def real_features(trained: Trained, judge: Judge, key: str, n: int) -> numpy.ndarray:
    """Features [n, d] of the first n training images (all if there are fewer); kept in a file, like `real_moments`."""
    x = trained.train_x(n)
    path = trained.references / "statistics" / f"{trained.dataset}-{key}-{len(x)}-features.npz"
    return kept(path, lambda: {"features": judged(judge, x)[0].astype(numpy.float32)})["features"]


def sample_judged(trained: Trained, judge: Judge, key: str, n: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """`judged` of the method's first n samples: once for all metrics of this judge, as Inception takes longest."""
    if (key, n) not in trained.judged:
        trained.judged[key, n] = judged(judge, trained.samples(n))
    return trained.judged[key, n]
