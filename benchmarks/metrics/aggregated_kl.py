"""KL(q(z) || p(z)) of the aggregated posterior and the prior, by k nearest neighbours (AVB table 1)."""

import torch

from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.knn import knn_kl

NEEDS = ("encode", "data")
UNIT = "nats"
KIND = "estimate"
BETTER = "lower"
BIAS = "k-NN: far downward where the first reaches beyond the second; upward where the second is wider"


def evaluate(trained: Trained, *, n: int = 10_000, k: int = 3) -> Estimate:
    """Draws of q(z): training images at random, one code each."""
    assert trained.data is not None
    images = trained.data.train
    index = torch.randint(len(images), (n,), device=trained.device)
    with torch.no_grad():
        q = torch.cat([trained.method.encode(images.batch(i).x) for i in index.split(1000)]).double()
        p = torch.randn(n, trained.latent_dim, dtype=torch.float64)
    mean, covariance = q.mean(0), torch.cov(q.T).reshape(trained.latent_dim, -1)
    gaussian = 0.5 * (covariance.trace() + mean.square().sum() - len(mean) - torch.logdet(covariance))
    value = knn_kl(q.cpu().numpy(), p.numpy(), k)
    return Estimate(value, None, n, f"k-NN k={k}, n={n}", {"gaussian moment KL": float(gaussian)})
