"""Inception score and Frechet distance, of any network that gives features and class probabilities.

The mathematics first: arrays in, numbers out. A judge is a function of images [n, *x_shape] in [0, 1] that returns
features [n, d] and class logits [n, classes]: Inception (inception.py), or the dataset's own classifier.
"""

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.mmd import kernel_distance
from benchmarks.metrics.trained import Estimate, Trained
from methods.training.atomic_files import DamagedError, read_arrays, write_arrays

Judge = Callable[[Tensor], tuple[Tensor, Tensor]]
Moments = tuple[numpy.ndarray, numpy.ndarray]
Judged = tuple[numpy.ndarray, numpy.ndarray]  # features and class probabilities
TOGETHER = 1024  # images whose pixels are shuffled at once


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


def score_error(p: numpy.ndarray, splits: int = 10) -> float:
    """Standard error of the mean of `inception_scores`: a jackknife over the images of each split.

    It covers the noise of the images drawn, not the score's bias by their finite number.
    """
    variances = []
    for part in numpy.array_split(numpy.asarray(p, dtype=numpy.float64), splits):
        n = len(part)
        if n < 2:
            return float("nan")
        own = (part * numpy.log(numpy.maximum(part, 1e-300))).sum(1)
        rest = (part.sum(0) - part) / (n - 1)  # marginals without each image in turn
        without = numpy.exp((own.sum() - own) / (n - 1) - (rest * numpy.log(rest.clip(1e-300))).sum(1))
        variances.append((n - 1) / n * ((without - without.mean()) ** 2).sum())
    return float(numpy.sqrt(numpy.sum(variances)) / splits)


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


def influence(features: numpy.ndarray, of: numpy.ndarray, real: Moments) -> numpy.ndarray:
    """How the distance of the moments m1, C1 of images `of` [k, d] to m2, C2 changes with the weight of each of
    `features` [n, d]: 2 (m1 - m2)'(x - m1) + (x - m1)'(I - T)(x - m1), where T maps N(m1, C1) to N(m2, C2) (optimal
    transport), within the directions in which C1 is not zero: fewer than d where `of` are few.
    """
    m1, (m2, c2) = of.mean(0), real
    if len(of) <= of.shape[1]:
        scale, axes = numpy.linalg.svd((of - m1) / (len(of) - 1) ** 0.5, full_matrices=False)[1:]
        values, vectors = scale**2, axes.T
    else:
        values, vectors = numpy.linalg.eigh(moments(of)[1])
    kept = values > 1e-10 * values.max()
    vectors, root = vectors[:, kept], numpy.sqrt(values[kept])
    inner, axes = numpy.linalg.eigh(root[:, None] * (vectors.T @ c2 @ vectors) * root)
    transport = ((axes * numpy.sqrt(inner.clip(0))) @ axes.T) / (root[:, None] * root)
    away = features - m1
    within = away @ vectors
    return 2 * away @ (m1 - m2) + (away**2).sum(1) - ((within @ transport) * within).sum(1)


def frechet_error(features: numpy.ndarray, real: Moments) -> float | None:
    """Standard error of `frechet_distance` over the sampled images with these features [n, d]; `real` is fixed.

    The infinitesimal jackknife counts the variance of the second order twice, which near equality is all there is. The
    covariance of the influences at two halves of the images is that of the first order alone, and corrects it. None
    for fewer than four images.
    """
    features = numpy.asarray(features, dtype=numpy.float64)
    if len(features) < 4:
        return None
    whole, one, other = (influence(features, part, real) for part in (features, features[::2], features[1::2]))
    jackknife = whole.var(ddof=1)
    linear = float(numpy.clip(numpy.cov(one, other)[0, 1], 0, jackknife))
    return float(((jackknife + linear) / (2 * len(features))) ** 0.5)


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


def kept_of_real(trained: Trained, judge: Judge, key: str, what: str) -> dict[str, numpy.ndarray]:
    """Moments or features of all training images, kept in a file: they are the same for all runs.

    `key` names the judge and its weights; the file's name holds the hashes of the images and of the judge's code: other
    images under the dataset's name are judged anew.
    """

    def make() -> dict[str, numpy.ndarray]:
        features = judged(judge, trained.train_x())[0]
        if what == "features":
            return {"features": features.astype(numpy.float32)}
        return dict(zip(("mean", "covariance"), moments(features), strict=True))

    return kept(statistics_file(trained, judge, key, what), make)


def statistics_file(trained: Trained, judge: Judge, key: str, what: str) -> Path:
    """Where is kept what a judge says of the training images."""
    return trained.references / "statistics" / f"{trained.train_content[:16]}-{key}-{code_of(judge)}-{what}.npz"


def code_of(what: Any) -> str:
    """Hash of the source of the file that defines it."""
    module = inspect.getmodule(what)
    return hashlib.sha256(inspect.getsource(module).encode()).hexdigest()[:8] if module else "unknown"


def kept_controls(
    trained: Trained, judge: Judge, key: str, what: str, make: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """Values of a score's controls, kept as the real statistics are: they are the same for all runs.

    `what` names the score and its options; the file's name holds the hash of the code that computes them too.
    """
    code = "-".join(code_of(part) for part in (moments, kernel_distance, controls.shuffled))
    found = kept(
        statistics_file(trained, judge, key, f"{what}-of-controls-{code}"),
        lambda: {name: numpy.array(value) for name, value in make().items()},
    )
    return {name: float(value) for name, value in found.items()}


def noise_judged(trained: Trained, judge: Judge, key: str, n: int) -> Judged:
    """`judged` of n training images with the pixels of each in random order; once for all metrics of this judge."""
    if (f"noise, {key}", n) not in trained.judged:
        generator = torch.Generator().manual_seed(controls.SEED)
        pixels, found = trained.training.pixels, []
        for index in torch.arange(n).split(TOGETHER):
            images = trained.as_test_images(pixels[index.to(pixels.device) % len(pixels)])
            found.append(judged(judge, controls.shuffled(images, generator)))
        features, p = (numpy.concatenate(parts) for parts in zip(*found, strict=True))
        trained.judged[f"noise, {key}", n] = features, p
    return trained.judged[f"noise, {key}", n]


def real_moments(trained: Trained, judge: Judge, key: str) -> Moments:
    """Moments of the features of all training images."""
    stored = kept_of_real(trained, judge, key, "moments")
    return stored["mean"], stored["covariance"]


def real_features(trained: Trained, judge: Judge, key: str) -> numpy.ndarray:
    """Features [n, d] of all training images."""
    return kept_of_real(trained, judge, key, "features")["features"]


def frechet_estimate(trained: Trained, judge: Judge, key: str, name: str, n: int) -> Estimate:
    """Frechet distance of n samples' features to those of all training images, and of its controls.

    These are n training images with shuffled pixels, and n copies of their mean.
    """
    features, real = sample_judged(trained, judge, key, n)[0], real_moments(trained, judge, key)
    m = len(trained.training)
    protocol = f"{name}, n={n}, {m} training images"

    def at_chance() -> dict[str, float]:
        copy = judged(judge, trained.mean_image[None].to(torch.get_default_dtype()))[0][0]
        copies = copy, numpy.zeros((len(copy), len(copy)))
        return {
            "noise": frechet_distance(moments(noise_judged(trained, judge, key, n)[0]), real),
            "mean image": frechet_distance(copies, real),
        }

    return Estimate(
        frechet_distance(moments(features), real),
        frechet_error(features, real),
        n,
        protocol,
        controls=kept_controls(trained, judge, key, f"frechet-{n}", at_chance),
    )


def kernel_estimate(trained: Trained, judge: Judge, key: str, name: str, n: int, subsets: int, size: int) -> Estimate:
    """Kernel distance of n samples' features to those of all training images, and of n images of shuffled pixels."""
    real, fake = real_features(trained, judge, key), sample_judged(trained, judge, key, n)[0]

    def at_chance() -> dict[str, float]:
        return {"noise": kernel_distance(noise_judged(trained, judge, key, n)[0], real, subsets, size, name).value}

    found = kernel_distance(fake, real, subsets, size, name)
    return replace(found, controls=kept_controls(trained, judge, key, f"kernel-{n}-{subsets}-{size}", at_chance))


def sample_score(trained: Trained, judge: Judge, key: str, name: str, n: int, splits: int) -> Estimate:
    """Inception score of n samples, and of n images of shuffled pixels."""

    def at_chance() -> dict[str, float]:
        return {"noise": float(inception_scores(noise_judged(trained, judge, key, n)[1], splits).mean())}

    found = score_estimate(sample_judged(trained, judge, key, n)[1], splits, name)
    return replace(found, controls=kept_controls(trained, judge, key, f"score-{n}-{splits}", at_chance))


def score_estimate(p: numpy.ndarray, splits: int, protocol: str) -> Estimate:
    """Mean inception score over splits of class probabilities p [n, classes]."""
    found = inception_scores(p, splits)
    details: dict[str, float | str] = {"sd over splits": float(found.std())} if splits > 1 else {}
    return Estimate(
        float(found.mean()), score_error(p, splits), len(p), f"{protocol}, n={len(p)}, splits={splits}", details
    )


def sample_judged(trained: Trained, judge: Judge, key: str, n: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """`judged` of the method's first n samples: once for all metrics of this judge, as Inception takes longest."""
    if (key, n) not in trained.judged:
        trained.judged[key, n] = judged(judge, trained.samples(n))
    return trained.judged[key, n]
