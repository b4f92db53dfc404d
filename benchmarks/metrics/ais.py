"""log p(x) by annealed importance sampling (AVB table 2: 1000 distributions, 5 chains, 2048 test images)."""

from typing import Literal

import torch

from benchmarks.jobs.trained import Estimate, Trained, average
from benchmarks.metrics.annealing import Start, annealed_importance_sampling
from benchmarks.metrics.likelihoods import likelihood_for
from methods.terms import log_mean_exp

NEEDS = ("decoder", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "higher"
BIAS = "downward: its expectation is below log p(x); `bdmc_gap` bounds by how much, on simulated images"


def start_of(trained: Trained, x: torch.Tensor, chains: int) -> tuple[Start, str]:
    """The encoder's Gaussian where the method has one, else the prior, for `chains` chains an image."""
    moments = trained.method.moments(x)
    if moments is None:
        zero = torch.zeros(len(x) * chains, trained.latent_dim, device=x.device)
        return Start(zero, zero + 1), "prior"
    mean, sd = (m.repeat_interleave(chains, 0) for m in moments)
    return Start(mean, sd), "encoder"


def effective_share(log_weights: torch.Tensor) -> float:
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
) -> Estimate:
    """In expectation a lower bound; `batch` chains run at once. bf16 forces leave the chain exact."""
    weights, accepted, kind = [], [], ""
    for x in trained.test_x(n).split(max(1, batch // chains)):
        with torch.no_grad():
            start, kind = start_of(trained, x, chains)
        likelihood = likelihood_for(trained.method.decoder, x.repeat_interleave(chains, 0), forces)
        found, acceptance = annealed_importance_sampling(
            start, likelihood, chains, distributions, leapfrogs, path, adaptation=adaptation
        )
        weights.append(found)
        accepted.append(float(acceptance))
    log_weights = torch.cat(weights)
    protocol = f"T={distributions}, {chains} chains, {leapfrogs} leapfrogs, {path}, {adaptation}-adapted, {forces}"
    return average(
        log_mean_exp(log_weights, 1),
        f"n={len(log_weights)}, {protocol} forces",
        start=kind,
        acceptance=sum(accepted) / len(accepted),
        **{"single-chain mean": float(log_weights.mean()), "effective share": effective_share(log_weights)},
    )
