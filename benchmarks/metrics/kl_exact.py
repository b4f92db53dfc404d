"""KL(q || p) = log p(y) - ELBO by Monte Carlo, for a q with a density and a known log evidence."""

import torch

from benchmarks.errors import NotRunError
from benchmarks.jobs.trained import Estimate, Trained, average, batch_of

NEEDS = ("log_density", "problem")
UNIT = "nats"
KIND = "exact"
BETTER = "lower"
BIAS = "none"
EVERY_SNAPSHOT = True


def evaluate(trained: Trained, *, n: int = 100_000) -> Estimate:
    """Unbiased, with the Monte-Carlo standard error of `n` draws."""
    if not hasattr(trained.problem, "log_evidence"):
        raise NotRunError(f"{trained.dataset} has no known log evidence")
    with torch.no_grad():
        batch = batch_of(torch.zeros(n, 0, device=trained.device))
        log_weight = trained.method.log_weight(batch).double()  # type: ignore[operator]
    return average(trained.problem.log_evidence() - log_weight, f"n={n}, quadrature evidence")
