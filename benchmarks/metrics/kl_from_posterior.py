"""KL(p || q) from a known posterior, large where q misses a mode: mean of log p - log q over exact draws of p."""

import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators.quadrature import posterior_of
from benchmarks.metrics.kl_to_posterior import has_density
from benchmarks.metrics.trained import Estimate, Trained, average
from methods.training.seeds import seed_of

NEEDS = ("encode", "problem")
UNIT = "nats"
KIND = "exact"
BETTER = "lower"
BIAS = "none"
ERROR = "over draws of p"
VARIES = "images"  # the draws of p, which all runs and seeds share as they do test images
LIMITS = (0.0, None)
TOGETHER = 200_000  # draws held at once


def evaluate(trained: Trained, *, n: int = 2_000_000) -> Estimate:
    """NotRunError for a q that only draws: no estimator is known that tells what q misses."""
    problem = trained.problem
    if not has_density(trained):
        raise NotRunError(
            "KL(p || q) of an implicit q cannot be estimated: its density is unknown where it has no draws"
        )
    if not hasattr(problem, "exact_draws"):
        raise NotRunError(f"{trained.dataset} has no exact sampler")
    generator = torch.Generator().manual_seed(seed_of(trained.dataset, 0, "exact draws"))
    values = []
    with torch.no_grad():
        for start in range(0, n, TOGETHER):
            z = problem.exact_draws(min(TOGETHER, n - start), generator).to(trained.device)
            q = posterior_of(trained.method, torch.zeros(len(z), 0, device=trained.device))
            log_q = q.log_prob(z.to(torch.get_default_dtype())).double()
            values.append(problem.log_posterior(z) - log_q)
    return average(torch.cat(values), f"n={n} exact draws")
