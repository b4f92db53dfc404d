"""KL(q(z) || p(z)) of the aggregated posterior and the prior (AVB table 1).

Of an encoder with a density, q(z) is the mixture of q(z|x) over the training images, and its logarithm is averaged over
draws of z. Where an input x is itself random (bits, dequantised levels) or the images are a part of the training set,
the mixture of the draws' own inputs is above q(z) on average, and that of other inputs below (Jensen): the two enclose
the truth. Of an encoder that only draws: the KL of the Gaussian with q's moments, a lower bound, and the k-NN estimate
for the whitened draws, whose sum is shown only where it no longer grows with the number of draws.

p(z) is the decoder's, N(0, I) unless it says another; then the part of the moments is a mean over draws, not closed.
"""

from dataclasses import replace
from typing import Any

import numpy
import torch
from torch import Tensor

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators.aggregated_posterior import (
    TOGETHER,
    Gaussians,
    Mixture,
    mixture_of,
    moment_kl,
    moment_kl_of_draws,
    moments_of,
)
from benchmarks.metrics.estimators.knn import checked_draws, knn_terms, kth_distance, whitening
from benchmarks.metrics.estimators.prior import Prior
from benchmarks.metrics.estimators.quadrature import gaussian_nodes
from benchmarks.metrics.trained import FEWEST, WHOLE, Estimate, Trained
from methods.training.minibatches import Images

NEEDS = ("encode", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "none with a density; else downward where draws are too few to resolve q, which is then shown as a bound"
ERROR = "over draws of z"
VARIES = "samples"
LIMITS = (0.0, None)
IMAGES = "training images"
PROTOCOL = "prior N(0, I)"  # one truth: how it is estimated depends on what the encoder gives, see the details
DRAWN_ANEW = ("binarised", "levels")  # pixels whose x is random given the image
INPUTS = 4  # of one image, at most
FEW_COMPONENTS, NODES = 64, 60  # of two-dimensional Gaussians, which are integrated without draws
SLACK, SHARE = 0.005, 0.05  # nats, and share of the value, that count as resolved
FINE = 26  # neighbours are found fast there
LEAST = "the KL of a Gaussian with the same moments"
LEAST_OF_ANOTHER = "the mean of log N(z) - log p(z), N of the same moments"  # of a prior that is not N(0, I)
OWN = 0.05  # share of codes whose image's second code may be nearer than the k-th of all others


def evaluate(trained: Trained, *, n: int = 10_000, k: int = 3, images: int = 50_000) -> Estimate:
    """`n` draws of z (FINE times as many for neighbours in the plane), of `images` images at most; `k` neighbours."""
    data, method, prior = trained.data, trained.method, Prior.of(trained.method)
    if data is None:
        raise NotRunError("a problem has no training images")
    with torch.no_grad():
        order = torch.randperm(len(data.train), device=trained.device)
        whole, anew = len(order) <= images, data.train.pixels_as in DRAWN_ANEW
        if anew:  # more inputs of each image bring the two ends together
            order = order.repeat(max(1, min(INPUTS, images // len(order))))
        mixture = mixture_of(method, data.train, order if whole else order[: min(images, len(order) // 2)])
        if mixture is None:
            first, again = code_pairs(method, data.train, n if trained.latent_dim > 2 else FINE * n)
            return noted(of_draws(first, again, k, prior), prior)
        if whole and not anew:
            return noted(of_mixture(mixture, n, prior), prior)
        other = mixture_of(method, data.train, order if whole else order[-len(mixture) :])
        return noted(enclosed(mixture, other or mixture, n, prior), prior)


def noted(found: Estimate, prior: Prior) -> Estimate:
    """The estimate, with a warning where p(z) is not the papers' N(0, I)."""
    if prior.standard:
        return found
    return replace(found, warning="; ".join(filter(None, (found.warning, "p(z) is the decoder's own, not N(0, I)"))))


def moment_bound(mixture: Mixture, z: Tensor, prior: Prior) -> float:
    """What the moments of q(z) alone say that the KL is at least, nats: in closed form where they and p have one."""
    if not prior.standard:
        return max(0.0, moment_kl_of_draws(z, prior.log_prob)[0])
    return moment_kl(*moments_of(mixture)) if isinstance(mixture, Gaussians) else moment_kl_of_draws(z)[0]


def of_mixture(mixture: Mixture, n: int, prior: Prior) -> Estimate:
    """Of inputs that are not random: Monte Carlo over z, or Gauss-Hermite for few Gaussians in two dimensions."""
    details: dict[str, float | str] = {"estimator": f"mixture of {len(mixture)} q(z|x)"}
    if isinstance(mixture, Gaussians):
        if prior.standard:
            details["gaussian moment KL"] = moment_kl(*moments_of(mixture))
        if mixture.mean.shape[1] == 2 and len(mixture) <= FEW_COMPONENTS:
            fine, coarse = (integral(mixture, side, prior) for side in (NODES, NODES - 10))
            details["estimator"] = f"mixture of {len(mixture)} q(z|x), Gauss-Hermite"
            return Estimate(fine, abs(fine - coarse), len(mixture), PROTOCOL, details)
        n = max(n, WHOLE // len(mixture) if len(mixture) < FEWEST else 0)
    z = mixture.draw(n)
    values = mixture.log_density(z) - prior.log_prob(z)
    error = float(values.std() / len(values) ** 0.5)
    return Estimate(float(values.mean()), error, len(z), PROTOCOL, details)


def integral(mixture: Gaussians, side: int, prior: Prior) -> float:
    """The KL by Gauss-Hermite with side^2 nodes for each component, nats."""
    z, weights = gaussian_nodes(mixture.mean, mixture.sd, side)
    values = (mixture.log_density(z.flatten(0, 1)) - prior.log_prob(z.flatten(0, 1))).reshape(z.shape[:2])
    return float((weights @ values).mean())


def enclosed(own: Mixture, other: Mixture, n: int, prior: Prior) -> Estimate:
    """Of random inputs: z is drawn from `own`; its mixture is above q(z), that of `other` below, on average."""
    z = own.draw(n)
    log_prior = prior.log_prob(z)
    above, below = own.log_density(z) - log_prior, other.log_density(z) - log_prior
    error = float(max(above.std(), ((above + below) / 2).std()) / n**0.5)
    bound = moment_bound(own, z, prior)
    low, high = max(float(below.mean()), bound), float(above.mean())
    details: dict[str, float | str] = {"gaussian moment KL": bound, "without own x": float(below.mean())}
    details["estimator"] = f"mixture of {len(own)} q(z|x), with and without a draw's own x"
    found = Estimate((low + high) / 2, error, n, PROTOCOL, details, low=low, high=high)
    if high - low <= 2 * (SLACK + SHARE * found.value):
        return found
    warning = f"not resolved by {n} draws: between {low:.4g} and {high:.4g} nats"
    return replace(found, value=low, kind="lower bound", warning=warning)


def code_pairs(method: Any, images: Images, n: int) -> tuple[Tensor, Tensor]:
    """Two codes each of n random images, both [n, latent] in float64."""
    pairs = []
    for part in torch.randint(len(images), (n,), device=images.pixels.device).split(TOGETHER):
        x = images.batch(part).x
        pairs.append(torch.stack([method.encode(x), method.encode(x)]))
    first, again = torch.cat(pairs, 1).double()
    return first, again


def of_draws(z: Tensor, again: Tensor, k: int, prior: Prior) -> Estimate:
    """From draws z [n, latent] alone; `again` are other codes of the same images.

    KL(q || p) = KL(q || N) + E_q [log N - log p] for the Gaussian N with q's moments; the first part, which whitening
    does not change, is by k-NN, the second that of the moments: 0 or more where p is N(0, I), the first always.
    The k-NN part counts only if it has stopped growing with n, and if the second code of an image is seldom nearer
    than its neighbours. Else q(z) has spikes or filaments that n draws do not show: the moments' bound is all we know.
    """
    n, d = z.shape
    log_prior, z, again = None if prior.standard else prior.log_prob(z).cpu(), z.cpu(), again.cpu()
    checked_draws(z.numpy(), k=k)
    try:
        to_white = whitening(z.numpy())
    except ValueError as error:
        raise NotRunError(f"q(z) has collapsed, its KL is infinite: {error}") from None
    part, part_error = moment_kl_of_draws(z, None if log_prior is None else lambda _: log_prior)
    bound = max(0.0, part)
    white, second = ((codes - z.mean(0)).numpy() @ to_white for codes in (z, again))
    normal = torch.randn(n, d, dtype=torch.float64).numpy()
    details: dict[str, float | str] = {"gaussian moment KL": bound}
    details["estimator"] = f"moments and k-NN, k={k}, of whitened draws"
    lower = Estimate(
        bound,
        part_error,
        n,
        PROTOCOL,
        details,
        kind="lower bound",
        low=bound,
        warning=f"not resolved by {n} draws: at least {LEAST if prior.standard else LEAST_OF_ANOTHER}",
    )
    try:
        terms = knn_terms(white, normal, k)
        fewer = knn_terms(white[: n // 4], normal[: n // 4], k)
    except ValueError as error:
        details["k-NN of whitened draws"] = str(error)
        return lower
    rest = float(terms.mean())
    own = float((numpy.linalg.norm(second - white, axis=1) < kth_distance(white, white, k + 1)).mean())
    noise = float((terms.var() / n + fewer.var() / len(fewer)) ** 0.5)
    value = max(0.0, part + max(rest, 0.0))
    details |= {"k-NN of whitened draws": rest, "growth from a quarter of the draws": rest - float(fewer.mean())}
    details["second codes nearer than neighbours"] = own
    if rest - float(fewer.mean()) > SLACK + SHARE * value + 2 * noise or own > OWN:
        return lower
    return Estimate(value, float((part_error**2 + terms.var() / n) ** 0.5), n, PROTOCOL, details)
