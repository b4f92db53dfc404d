"""Training data in memory: one uint8 tensor, indexed by the loop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from methods.training.game import Batch

PixelsAs = Literal["binary", "binarised", "grey", "levels"]
LARGEST_NOISE = 1 - 2**-16  # in float32, 255 + u rounds up to 256 for any larger u, and the level would be lost


def shares(v: Tensor) -> Tensor:
    """uint8 v as v/255."""
    return v.float().div_(255)


def bits(v: Tensor) -> Tensor:
    """Fresh x ~ Bernoulli(v/255)."""
    return torch.bernoulli(shares(v))


def dequantised(v: Tensor) -> Tensor:
    """(v + u)/256 with fresh u ~ U(0, 1) per sub-pixel (AS-VAE, section 5.1); v is the floor of 256 x, exactly."""
    return torch.rand(v.shape, device=v.device).clamp_(max=LARGEST_NOISE).add_(v).div_(256)


TRAINING: dict[PixelsAs, Callable[[Tensor], Tensor]] = {
    "binary": shares,
    "binarised": bits,
    "grey": shares,
    "levels": dequantised,
}


@dataclass(frozen=True)
class Images:
    """uint8 `pixels` [n, *x_shape] (memory-mapped, perhaps), class `labels` [n], and what a pixel means in training.

    `binary`: 0 or 255, read as 0 or 1. `binarised`: bits drawn at every read. `grey`: probabilities v/255.
    `levels`: 8-bit levels, dequantised at every read.
    """

    pixels: Tensor
    labels: Tensor | None = None
    pixels_as: PixelsAs = "binary"

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Shape of one example; (0,) for a problem without data."""
        return tuple(self.pixels.shape[1:])

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def batch(self, index: Tensor, step: int = 0) -> Batch:
        """The examples at `index`, in [0, 1]."""
        x = TRAINING[self.pixels_as](self.pixels[index])
        return Batch(x, None if self.labels is None else self.labels[index], step)


class Minibatches(Iterator[Batch]):
    """Endless minibatches: a fresh permutation each epoch, or draws with replacement if there are few examples.

    The k-th minibatch depends on (seed, k) only, so `drawn` is all the state that a resume needs.
    """

    def __init__(self, images: Images, size: int, seed: int):
        self.images, self.size, self.seed = images, size, seed
        self.drawn, self.step = 0, 0
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def _generator(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)

    def _index(self) -> Tensor:
        n = len(self.images)
        if n < self.size:
            return torch.randint(n, (self.size,), generator=self._generator(self.drawn))
        epoch, k = divmod(self.drawn, n // self.size)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, torch.randperm(n, generator=self._generator(epoch))
        return self._order[k * self.size : (k + 1) * self.size]

    def first(self) -> Batch:
        """The first examples of the data, in their order: what an initialisation may look at."""
        return self.images.batch(torch.arange(min(self.size, len(self.images)), device=self.images.pixels.device))

    def __next__(self) -> Batch:
        index = self._index().to(self.images.pixels.device)
        self.drawn += 1
        return self.images.batch(index, self.step)
