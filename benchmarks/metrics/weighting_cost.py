"""How much longer a round of a GAN's training takes with its weighting of samples than with equal weights, in per cent.

The importance weights' only cost is said to be their evaluation, and negligible (Unifying section 4.1). Rounds with and
without alternate in one process, so that the machine's load is that of both; nothing is trained by them.
"""

import copy
import time
from typing import Any

import numpy
import torch

from benchmarks.errors import NotRunError
from benchmarks.metrics.trained import Estimate, Trained, batch_of
from methods.gan import EqualWeights
from methods.method import Method
from methods.training.game import Batch, gradient

NEEDS = ("sample", "data")
UNIT = "%"
KIND = "estimate"
BETTER = "lower"
BIAS = "none on an idle machine; towards 0 by what does not depend on the weights"
ERROR = "over rounds"
VARIES = "draws"
IMAGES = "training images"
LIMITS = (-100.0, None)
RESAMPLES, WARM_UP = 200, 2


def seconds_of_round(method: Method, batch: Batch) -> float:
    """Of the gradients of every player, once each; the optimisers' steps are left out."""
    began = time.perf_counter()
    for player in method.players().values():
        loss, _ = gradient(player, batch)
        loss.item()  # waits for a GPU
    return time.perf_counter() - began


def fastest(times: numpy.ndarray) -> float:
    """Mean of the fastest tenth: what a round takes when nothing else delays it."""
    return float(numpy.sort(times)[: max(1, len(times) // 10)].mean())


def extra(weighted: numpy.ndarray, equal: numpy.ndarray) -> float:
    """By how much times [rounds] with weights are above those with equal ones, in per cent."""
    return 100 * (fastest(weighted) / fastest(equal) - 1)


def evaluate(trained: Trained, *, seconds: float = 3.0, least: int = 10, batch: int = 64) -> Estimate:
    """Rounds for so many seconds, `least` of either kind at least; a time, so not the same again.

    NotRunError for a method without a weighting.
    """
    data, weighted = trained.data, copy.deepcopy(trained.method).train()
    if data is None or not hasattr(weighted, "weighting"):
        raise NotRunError(f"{type(weighted).__name__} gives its samples no weights")
    equal: Any = copy.deepcopy(weighted)
    equal.weighting = EqualWeights()
    index = torch.arange(batch, device=trained.device) % len(data.train)
    given = data.train.batch(index)
    pair, found, end = (weighted, equal), [], time.perf_counter() + seconds
    while len(found) < least + WARM_UP or time.perf_counter() < end:
        which = (0, 1) if len(found) % 2 else (1, 0)  # neither is always the first
        taken = {kind: seconds_of_round(pair[kind], batch_of(given.x, given.y)) for kind in which}
        found.append((taken[0], taken[1]))
    times = numpy.array(found[WARM_UP:]).T
    rounds, random = times.shape[1], numpy.random.default_rng(0)
    again = [extra(*times[:, random.integers(rounds, size=rounds)]) for _ in range(RESAMPLES)]
    details: dict[str, float | str] = {"seconds a round": fastest(times[0])}
    return Estimate(extra(*times), float(numpy.std(again, ddof=1)), rounds, f"rounds of {batch}", details)
