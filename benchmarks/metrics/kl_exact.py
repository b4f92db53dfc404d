"""KL(q || p) to a known posterior, for a q with a density: mean of log q - log p over draws of q (AVB section 5.1)."""

import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.estimators.quadrature import posterior_of
from benchmarks.metrics.trained import Estimate, Trained, average

NEEDS = ("log_density", "problem")
UNIT = "nats"
KIND = "exact"
BETTER = "lower"
BIAS = "none"
ERROR = "over draws of q"
VARIES = "samples"
LIMITS = (0.0, None)
EVERY_SNAPSHOT = True


def evaluate(trained: Trained, *, n: int = 100_000) -> Estimate:
    """NotRunError for a posterior without a known normaliser."""
    if not hasattr(trained.problem, "log_posterior"):
        raise NotRunError(f"{trained.dataset} has no known log evidence")
    with torch.no_grad():
        q = posterior_of(trained.method, torch.zeros(n, 0, device=trained.device))
        z = q.rsample()
        values = q.log_prob(z).double() - trained.problem.log_posterior(z.double())
    return average(values, f"n={n} draws, evidence by quadrature")
