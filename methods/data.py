"""Training data in memory: one uint8 tensor, indexed by the loop."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.game import Batch


@dataclass(frozen=True)
class Images:
    """uint8 `pixels` [n, *x_shape]; `binarise` draws x ~ Bernoulli(grey level) anew at every read."""

    pixels: Tensor
    labels: Tensor | None = None
    binarise: bool = False

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Shape of one example; (0,) for a problem without data."""
        return tuple(self.pixels.shape[1:])

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def batch(self, index: Tensor, step: int = 0) -> Batch:
        """The examples at `index`, in [0, 1]."""
        x = self.pixels[index].float().div_(255)
        if self.binarise:
            x = torch.bernoulli(x)
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

    def __next__(self) -> Batch:
        index = self._index().to(self.images.pixels.device)
        self.drawn += 1
        return self.images.batch(index, self.step)
