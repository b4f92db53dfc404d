"""Seconds that one sampled image takes (AS-VAE section 5.4: 0.01 s against PixelCNN++'s 52 s)."""

import time

from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data")
UNIT = "seconds an image"
KIND = "estimate"
BETTER = "lower"
BIAS = "upward on a busy machine"
NO_ERROR = "the least of a few times"
LIMITS = (0.0, None)
IMAGES = "samples"


def evaluate(trained: Trained, *, n: int = 64, repeats: int = 3) -> Estimate:
    """The quickest of a few batches of n; a time, so not the same again."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        trained.method.sample(n, trained.device).sum().item()
        found.append((time.perf_counter() - began) / n)
        if found[0] * n > 5:  # slow ones need no repeat
            break
    return Estimate(min(found), None, n, f"batches of {n}")
