"""How well each unit of a code is predicted from the others: R^2 of the better of two regressors, mean over units.

Least squares (Ridge) and a forest (ExtraTrees), fitted on half of the test images' codes and scored on the other half,
so that what the method's own predictors could not find may still be found. 0: no better than the mean; 1: exactly. A
unit without variance is perfectly predictable. The detail "mean variance of a unit" is at most 1/4 for units in (0, 1).
"""

from typing import Any

import numpy
import torch

from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("code_units", "data")
UNIT = "R^2"
KIND = "estimate"
BETTER = "lower"
BIAS = "downward: dependence that neither regressor finds counts as none"
ERROR = "over units"
VARIES = "samples"  # the units of a code are the seed's own
LIMITS = (0.0, 1.0)
IMAGES = "test images"
CONSTANT = 1e-8  # variance below which a unit says nothing


def r_squared(codes: numpy.ndarray) -> numpy.ndarray:
    """R^2 [2, units] of both regressors (1 for a constant unit) on the second half of codes [n, units]."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score

    half = len(codes) // 2
    found = numpy.ones((2, codes.shape[1]))
    for unit in range(codes.shape[1]):
        y, rest = codes[:, unit], numpy.delete(codes, unit, 1)
        if min(y[:half].var(), y[half:].var()) > CONSTANT:
            for k, model in enumerate((Ridge(1e-3), ExtraTreesRegressor(min_samples_leaf=2, random_state=0))):
                found[k, unit] = r2_score(y[half:], model.fit(rest[:half], y[:half]).predict(rest[half:]))
    return found


def evaluate(trained: Trained, *, n: int = 4000, batch: int = 512) -> Estimate:
    """Below 0 (a regressor that learnt noise) counts as 0."""
    encode: Any = trained.method.encode
    with torch.no_grad():
        codes = torch.cat([encode(x) for x in trained.test_x(n).split(batch)]).double().cpu().numpy()
    scores = r_squared(codes).clip(0)
    best = scores.max(0)
    details: dict[str, float | str] = {
        "by least squares": float(scores[0].mean()),
        "by a forest": float(scores[1].mean()),
        "mean variance of a unit": float(codes.var(0).mean()),
    }
    spread = float(best.std(ddof=1) / len(best) ** 0.5) if len(best) > 1 else None
    return Estimate(float(best.mean()), spread, len(best), f"{len(codes)} codes, units: {len(best)}", details)
