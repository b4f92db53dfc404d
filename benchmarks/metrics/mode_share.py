"""Share of q in the mode tau > 0 of Eight Schools: 0.5 by symmetry, near 0 or 1 if one mode is missed."""

from benchmarks.errors import NotRunError
from benchmarks.jobs.trained import Estimate, Trained
from benchmarks.metrics.kl_to_posterior import draws_of

NEEDS = ("encode", "problem")
UNIT = "share"
KIND = "estimate"
BETTER = "neither"
BIAS = "none"


def evaluate(trained: Trained, *, n: int = 10_000) -> Estimate:
    """`smaller mode` is the share of the lesser one; `mean abs tau` is 0.7024 under the posterior."""
    if trained.dataset != "eight-schools":
        raise NotRunError(f"{trained.dataset} has no sign symmetry in tau")
    tau = draws_of(trained, n)[:, 1]
    share = float((tau > 0).mean())
    error = (share * (1 - share) / n) ** 0.5
    details: dict[str, float | str] = {"smaller mode": min(share, 1 - share), "mean abs tau": float(abs(tau).mean())}
    return Estimate(share, error, n, f"n={n}", details)
