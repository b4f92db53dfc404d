"""Numbers of trained runs, recomputed in float64 from their weights without the suite: numpy and scipy alone."""

import json
from pathlib import Path
from typing import Any

import numpy
from numpy import ndarray
from safetensors.numpy import load_file
from scipy.special import expit, logsumexp, ndtr

from tests.helpers.mixture_kl import ACTIVATIONS, gaussians, images

LOG_2PI = float(numpy.log(2 * numpy.pi))
Y = numpy.array([2.8, 0.8, -0.3, 0.7, -0.1, 0.1, 1.8, 1.2])  # AVB section 5.1, with the data of the authors' notebook
SIGMA = numpy.array([0.8, 0.5, 0.8, 0.6, 0.5, 0.6, 0.5, 0.4])


def opened(folder: Path) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """(specification, weights) of a run's folder."""
    record = json.loads((folder / "run.json").read_text())
    return record["specification"], load_file(folder / "weights.safetensors")


def logits(weights: dict[str, ndarray], decoder: dict[str, Any], z: ndarray) -> ndarray:
    """What a fully connected Bernoulli decoder gives [n, pixels] for codes z [n, latent]."""
    w = {name.removeprefix("decoder."): value.astype(numpy.float64) for name, value in weights.items()}
    h = z
    for layer in range(len(decoder["body"]["hidden"])):
        h = h @ w[f"body.layers.{2 * layer}.weight"].T + w[f"body.layers.{2 * layer}.bias"]
        h = ACTIVATIONS[decoder["body"]["activation"]](h)
    return h @ w["head.weight"].T + w["head.bias"]


def log_bernoulli(x: ndarray, logit: ndarray) -> ndarray:
    """log p(x|z) [n] of binary x [pixels] from logits [n, pixels]."""
    return -(numpy.logaddexp(0, logit) - x * logit).sum(1)


def vae_on_four_points(folder: Path) -> dict[str, float]:
    """Log-likelihood, ELBO and reconstruction error, all by fine grids over z."""
    specification, weights = opened(folder)
    parts, x = specification["components"], images("4-point")
    axis = numpy.linspace(-7, 7, 701)
    grid = numpy.stack(numpy.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    logit = logits(weights, parts["decoder"], grid)
    prior = -0.5 * (grid**2).sum(1) - LOG_2PI
    area = 2 * numpy.log(axis[1] - axis[0])
    likelihood = numpy.mean([logsumexp(log_bernoulli(one, logit) + prior) + area for one in x])
    noise, share = grid, numpy.exp(prior) / numpy.exp(prior).sum()
    elbo, error = [], []
    for one, mean, sd in zip(x, *gaussians(weights, parts["encoder"], x), strict=True):
        z = mean + sd * noise
        fits = log_bernoulli(one, logits(weights, parts["decoder"], z))
        log_q = -0.5 * (noise**2).sum(1) - LOG_2PI - numpy.log(sd).sum()
        elbo.append(share @ (fits - 0.5 * (z**2).sum(1) - LOG_2PI - log_q))
        error.append(-(share @ fits) / x.shape[1])
    return {
        "log_likelihood": float(likelihood),
        "elbo": float(numpy.mean(elbo)),
        "reconstruction_error": float(numpy.mean(error)),
    }


def vae_on_digits(folder: Path) -> dict[str, float]:
    """Root mean square error of decoded means on the 360 test images."""
    from sklearn.datasets import load_digits

    specification, weights = opened(folder)
    parts = specification["components"]
    order = numpy.random.default_rng(0).permutation(1797)[1437:]
    x = numpy.round(load_digits().images / 16 * 255)[order].reshape(-1, 64) / 255
    means, _ = gaussians(weights, parts["encoder"], x)
    made = expit(logits(weights, parts["decoder"], means))
    return {"rmse": float(((made - x) ** 2).sum(1).mean() ** 0.5)}


def log_joint(z: ndarray) -> ndarray:
    """log p(z, y) [n] of Eight Schools at z = (mu, tau, eta) [n, 10]."""
    away = (Y - z[:, :1] - z[:, 1:2] * z[:, 2:]) / SIGMA
    return -0.5 * ((z**2).sum(1) + (away**2).sum(1) + 18 * LOG_2PI) - numpy.log(SIGMA).sum()


def posterior_draws(n: int, random: numpy.random.Generator) -> tuple[ndarray, float]:
    """n draws [n, 10] of the posterior, and log p(y): (mu, tau) from a fine grid, eta given them."""
    mu, tau = numpy.linspace(-5, 5, 1001), numpy.linspace(-7, 7, 1401)
    variance = SIGMA**2 + tau[:, None] ** 2
    log_p = -0.5 * (mu[:, None] ** 2 + tau**2) - LOG_2PI
    log_p = log_p - 0.5 * numpy.log(variance).sum(1) - 4 * LOG_2PI
    for y, of_tau in zip(Y, variance.T, strict=True):
        log_p = log_p - 0.5 * (y - mu[:, None]) ** 2 / of_tau
    area = numpy.log((mu[1] - mu[0]) * (tau[1] - tau[0]))
    evidence = float(logsumexp(log_p) + area)
    share = numpy.exp(log_p - logsumexp(log_p)).ravel()
    cell = random.choice(share.size, n, p=share)
    jitter = random.uniform(-0.5, 0.5, (2, n))
    m = mu[cell // len(tau)] + jitter[0] * (mu[1] - mu[0])
    t = tau[cell % len(tau)] + jitter[1] * (tau[1] - tau[0])
    precision = 1 + (t[:, None] / SIGMA) ** 2
    mean = t[:, None] * (Y - m[:, None]) / SIGMA**2 / precision
    eta = mean + random.standard_normal((n, 8)) / precision**0.5
    return numpy.column_stack([m, t, eta]), evidence


def gaussian_on_eight_schools(folder: Path, n: int = 1_000_000) -> dict[str, float]:
    """Both KL divergences of a Gaussian q to the posterior, and q's smaller share of the sign of tau."""
    _, weights = opened(folder)
    w = {name.removeprefix("encoder."): value.astype(numpy.float64) for name, value in weights.items()}
    scale = numpy.diag(numpy.exp(w["log_sd"] if "log_sd" in w else w["log_diagonal"]))
    scale = scale + (numpy.tril(w["lower"], -1) if "lower" in w else 0)
    random = numpy.random.default_rng(0)
    draws, evidence = posterior_draws(n, random)

    def log_q(z: ndarray) -> ndarray:
        white = numpy.linalg.solve(scale, (z - w["mean"]).T)
        return -0.5 * (white**2).sum(0) - 5 * LOG_2PI - numpy.log(numpy.diag(scale)).sum()

    z = w["mean"] + random.standard_normal((n, 10)) @ scale.T
    positive = float(ndtr(w["mean"][1] / numpy.linalg.norm(scale[1])))
    return {
        "kl_to_posterior": float((log_q(z) - log_joint(z)).mean() + evidence),
        "kl_from_posterior": float((log_joint(draws) - log_q(draws)).mean() - evidence),
        "smaller share": min(positive, 1 - positive),
    }
