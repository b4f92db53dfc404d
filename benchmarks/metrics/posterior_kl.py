"""KL(q(z|x) || p(z|x)) of 2-d codes to the model's own posterior (AVB corollary 4.2): log p(x) less the true ELBO.

log p(x) is by quadrature. Of a Gaussian q(z|x), E_q [log q(z|x) - log p(x, z)] is too. Of a q that only draws, its
entropy is by k nearest neighbours of many draws; the error that remains is taken to be at most what the last four-fold
of the draws has changed, give or take SLACK and the noise of the draws. Where that is much, q has filaments or points
that the draws do not resolve, and what they show is a lower bound.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators.adversary import draws_of, log_ratios
from benchmarks.metrics.estimators.knn import log_densities
from benchmarks.metrics.estimators.prior import Prior
from benchmarks.metrics.estimators.quadrature import expectation
from benchmarks.metrics.log_likelihood import HALVINGS, log_joint, on_grid, reach_of
from benchmarks.metrics.trained import Estimate, Trained, average
from methods.avb import AVB
from methods.terms import LOG_2PI

NEEDS = ("decoder", "encode", "latent_2d", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "none of a Gaussian q; else within the interval shown, or downward where it is shown as a bound"
ERROR = "over draws of q; over test images, where they are a sample"
IMAGES = "test images"
VARIES = "images"
LIMITS = (0.0, None)
SLACK, SHARE = 0.01, 0.05  # nats that are always allowed for, and share of the value that counts as resolved
# the details
ELBO, TO_THE_PRIOR, HALF, TO_A_GAUSSIAN = "ELBO", "KL to the prior", "half of the KL to the prior", "KL to a Gaussian"
MISSED = "KL to the prior less the adversary's"


@dataclass(frozen=True)
class Energies:
    """Of each image [n]: E_q of log q - log p(x, z), log q - log p(z) and log q - log N(z), and errors of the first."""

    joint: Tensor
    prior: Tensor
    gaussian: Tensor
    noise: Tensor
    growth: Tensor  # of the first, from a quarter of the draws


def log_evidence(trained: Trained, x: Tensor, side: int = 201, reach: float = 6.0, tolerance: float = 1e-3) -> Tensor:
    """log p(x) [n] by quadrature, float64, the grid halved until no image changes by more than `tolerance`, nats."""
    decoder = trained.method.decoder
    reach = reach_of(Prior(decoder), side, reach, trained.device)
    values = on_grid(decoder, x, side, reach)
    for _ in range(HALVINGS):
        side = 2 * side - 1
        finer = on_grid(decoder, x, side, reach)
        change, values = float((finer - values).abs().max()), finer
        if change <= tolerance:
            return values
    raise NotRunError(f"log p(x) still changes by {change:.2g} nats with {side}x{side} points")


def by_quadrature(trained: Trained, x: Tensor) -> Energies | None:
    """Of a Gaussian q(z|x); None of another."""
    decoder, prior = trained.method.decoder, Prior(trained.method.decoder)

    def mean_of(known):
        return expectation(trained, x, lambda x, z, log_q: log_q - known(x, z))

    joint = mean_of(lambda x, z: decoder.log_likelihood(x, z) + prior.log_prob(z.double()))
    to_prior = mean_of(lambda x, z: prior.log_prob(z.double()))
    if joint is None or to_prior is None:
        return None
    nothing = torch.zeros_like(joint[0])
    return Energies(joint[0], to_prior[0], nothing, joint[1], nothing)


def by_draws(trained: Trained, x: Tensor, draws: int, k: int) -> Energies:
    """Of a q(z|x) that draws: its log density by k nearest neighbours."""
    method, prior = trained.method, Prior(trained.method.decoder)
    found = []
    for one in x.split(1):
        z = draws_of(method, one, draws)[:, 0]
        log_p = prior.log_prob(z.double())
        log_joint_z = log_joint(method.decoder, one, z)[0]
        codes = z.double().cpu().numpy()
        try:
            log_q = torch.from_numpy(log_densities(codes, k)).to(z.device)
            fewer = torch.from_numpy(log_densities(codes[: draws // 4], k)).to(z.device)
        except ValueError as error:
            raise NotRunError(f"q(z|x) has collapsed, its KL is infinite: {error}") from None
        deviation = z.double().std(0)
        log_normal = -0.5 * (((z.double() - z.double().mean(0)) / deviation).square() + LOG_2PI).sum(1)
        energy, quarter = log_q - log_joint_z, fewer - log_joint_z[: draws // 4]
        row = (energy, log_q - log_p, log_q - log_normal + deviation.log().sum())
        growth = energy.mean() - quarter.mean()
        found.append(torch.stack([*(values.mean() for values in row), energy.std() / draws**0.5, growth]))
    return Energies(*torch.stack(found, 1))


def evaluate(trained: Trained, *, n: int = 16, draws: int = 32_768, k: int = 3) -> Estimate:
    """Of `n` images, with `draws` draws each. Beside it the true ELBO and two other divergences of q(z|x).

    `KL to a Gaussian` is KL(q(z|x) || r(z|x)), r the Gaussian with q's means and variances: AVB's adaptive contrast. Of
    AVB also how far its adversary's KL(q(z|x) || p(z)) is below the true one.
    """
    x = trained.test_x(n)
    with torch.no_grad():
        log_p = log_evidence(trained, x)
        exact = by_quadrature(trained, x)
        energies = exact or by_draws(trained, x, draws, k)
        to_prior = float(energies.prior.mean())
        details: dict[str, float | str] = {
            ELBO: float(-energies.joint.mean()),
            TO_THE_PRIOR: to_prior,
            HALF: to_prior / 2,
            TO_A_GAUSSIAN: float(energies.gaussian.mean()),
        }
        if isinstance(trained.method, AVB):
            said = log_ratios(trained.method, x, draws_of(trained.method, x, draws // 2))[1]
            details[MISSED] = to_prior - float(said.double().mean())
    found = average(log_p + energies.joint, f"n={len(x)}", energies.noise, trained.population, **details)
    return replace(found, kind="exact") if exact else enclosed(found, energies, draws)


def enclosed(found: Estimate, energies: Energies, draws: int) -> Estimate:
    """The estimate by draws with the ends between which the truth lies, or as a bound where they do not resolve q."""
    noise, growth = float(energies.noise.square().sum().sqrt() / len(energies.noise)), float(energies.growth.mean())
    found = replace(found, details={**found.details, "growth from a quarter of the draws": growth})
    if growth > SLACK + SHARE * found.value + 4 * noise:
        warning = f"q(z|x) is not resolved by {draws} draws: the KL is at least this, the ELBO at most that beside it"
        low = max(0.0, found.value)
        return replace(found, value=low, kind="lower bound", low=low, warning=warning)
    wide = SLACK + abs(growth) + 2 * noise
    low, high = max(0.0, found.value - wide), max(0.0, found.value + wide)
    return replace(found, value=min(max(found.value, low), high), low=low, high=high)
