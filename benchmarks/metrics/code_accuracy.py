"""Share of generated images from which the method recovers the code that generated them, in per cent.

The detail is the bound on the mutual information of code and image, H(c) + E log Q(c|x) <= H(c) (Chen et al. 2016,
eq. 5), in nats.
"""

import math
from typing import Any

import torch

from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("code",)
UNIT = "%"
KIND = "estimate"
BETTER = "higher"
BIAS = "none"
ERROR = "over generated images"
VARIES = "samples"
LIMITS = (0.0, 100.0)
STEP = 100.0
CONTROLS = ("chance",)
IMAGES = "samples"


def evaluate(trained: Trained, *, n: int = 10_000, batch: int = 512) -> Estimate:
    """Codes c ~ uniform. Control: one in the number of codes."""
    method: Any = trained.method
    right, log_q = [], []
    with torch.no_grad():
        for start in range(0, n, batch):
            z, c = method.sample_prior(min(batch, n - start), trained.device)
            log_p = method.code_logits(method.generate(z, c)).double().log_softmax(1)
            right.append(100.0 * (log_p.argmax(1) == c).double())
            log_q.append(log_p.gather(1, c[:, None]).squeeze(1))
    found, entropy = torch.cat(right), math.log(method.categories)
    details: dict[str, float | str] = {
        "bound on I(c; x), nats": entropy + float(torch.cat(log_q).mean()),
        "H(c), nats": entropy,
    }
    chance = {"chance": 100.0 / method.categories}
    return Estimate(float(found.mean()), float(found.std() / n**0.5), n, f"n={n}", details, controls=chance)
