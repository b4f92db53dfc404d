"""log p(x) by annealed importance sampling (AVB table 2: 1000 distributions, 5 chains, 2048 test images)."""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from benchmarks.metrics import importance_bound
from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.annealing import Start, annealed_importance_sampling
from benchmarks.metrics.estimators.likelihoods import likelihood_for
from benchmarks.metrics.estimators.prior import Prior
from benchmarks.metrics.trained import Estimate, Trained, average, checked, log_mean_error
from methods.terms import log_mean_exp

NEEDS = ("decoder", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward: its expectation is below log p(x); `bdmc_gap` bounds by how much, on simulated images"
ERROR = "over test images and chains"
VARIES = "images"
PER_IMAGE = "values"
LIMITS = (None, None)
CONTROLS = ("independent pixels",)
IMAGES = "test images"
LIKELIHOOD = True
BESIDE = "bdmc_gap"  # what is measured wherever a claim rests on this
QUANTITY = "log p(x)"
CODES = 64  # draws of q(z|x) that the start is fitted to
DRAWS = 4096  # of a prior other than N(0, I), likewise
LEAST_SD = 0.1  # of the start: an encoder that has collapsed to a point starts chains that can move


def start_of(trained: Trained, x: Tensor, chains: int) -> tuple[Start, str]:
    """For `chains` chains an image: a Gaussian fitted to codes of each x; the prior for a method that has none.

    Of a prior that is not N(0, I), the Gaussian with its moments.
    """
    if "encode" not in trained.provides and not hasattr(trained.method, "encoder"):
        zero = torch.zeros(len(x) * chains, trained.latent_dim, device=x.device)
        prior = Prior.of(trained.method)
        if prior.standard:
            return Start(zero, zero + 1), "the prior"
        draws = prior.draw(DRAWS, trained.latent_dim, x.device).to(zero)
        return Start(zero + draws.mean(0), zero + draws.std(0)), "a Gaussian with the prior's moments"
    codes = torch.stack([trained.method.encode(x) for _ in range(CODES)])
    mean, sd = codes.mean(0), codes.std(0).clamp_min(LEAST_SD)
    wide = (m.repeat_interleave(chains, 0) for m in (mean, sd))
    return Start(*wide), f"a Gaussian fitted to {CODES} codes an image (sd >= {LEAST_SD})"


def effective_share(log_weights: Tensor) -> float:
    """Effective sample size of the chains, as a share of their number, mean over images."""
    w = torch.softmax(log_weights, 1)
    return float((1 / w.square().sum(1)).mean() / log_weights.shape[1])


def evaluate(
    trained: Trained,
    *,
    n: int = 2048,
    distributions: int = 1000,
    chains: int = 5,
    leapfrogs: int = 10,
    path: Literal["linear", "sigmoid"] = "linear",
    forces: Literal["float32", "bfloat16"] = "float32",
    adaptation: Literal["pilot", "in-run"] = "pilot",
    batch: int = 1024,
    samples: int = 5000,
) -> Estimate:
    """In expectation a lower bound; `batch` chains run at once. bf16 forces leave the chain exact.

    Where the importance bound with `samples` draws is higher, that is the better bound, and is what is given.
    Control: pixels that are independent.
    """
    weights, accepted, kind = [], [], ""
    x = trained.test_x(n)
    for piece in x.split(max(1, batch // chains)):
        with torch.no_grad():
            start, kind = start_of(trained, piece, chains)
        likelihood = likelihood_for(trained.method.decoder, piece.repeat_interleave(chains, 0), forces)
        found, acceptance = annealed_importance_sampling(
            start, likelihood, chains, distributions, leapfrogs, path, adaptation=adaptation
        )
        weights.append(found)
        accepted.append(float(acceptance))
    log_weights = torch.cat(weights)
    protocol = (
        f"T={distributions}, {chains} chains, {leapfrogs} leapfrogs, {path}, {adaptation}-adapted, {forces} forces"
    )
    annealed = average(
        log_mean_exp(log_weights, 1),
        f"n={len(x)}, {protocol}, from {kind}; or the bound of {samples} importance samples",
        log_mean_error(log_weights),
        trained.population,
        acceptance=sum(accepted) / len(accepted),
        **{"single-chain mean": float(log_weights.mean()), "effective share": effective_share(log_weights)},
    )
    found = checked(better_bound(trained, annealed, n, samples), x)
    return replace(found, controls=controls.of_likelihood(trained, x))


def better_bound(trained: Trained, annealed: Estimate, n: int, samples: int) -> Estimate:
    """The estimate, or the importance bound of the same images where it is higher."""
    if "log_weight" not in trained.provides:
        return annealed
    bound = importance_bound.evaluate(trained, n=n, samples=samples)
    details = {**annealed.details, "importance bound": bound.value}
    if bound.value <= annealed.value:
        return replace(annealed, details=details)
    known = annealed.standard_error is not None
    error = {"annealed, standard error": annealed.standard_error} if known else {}
    return replace(
        annealed,
        value=bound.value,
        standard_error=bound.standard_error,
        draws_error=bound.draws_error,
        per_image=bound.per_image,
        kind="lower bound",
        details={**details, "annealed": annealed.value, **error},
        warning=f"the importance bound: annealing gives less, {annealed.value:.4f}",
    )
