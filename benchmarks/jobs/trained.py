"""What a metric is given: a trained method with its data, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from benchmarks.data.datasets import Data
from benchmarks.errors import NotRunError, SuiteError
from methods.files import DamagedError, read_arrays
from methods.game import Batch
from methods.method import Method

TOGETHER = 256  # an autoregressive model draws many images in little more time than a few
FEWEST = 30  # fewer examples are the whole population (the 4-point data), not a sample of one


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error over `n` things; `protocol` says what a column may not mix."""

    value: float
    standard_error: float | None = None
    n: int | None = None
    protocol: str = ""
    details: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Classifier:
    """A dataset's evaluation classifier: images -> features and logits; `key` names its weights.

    `record` holds its accuracy and its own inception score of real test images, for beside every score that uses it.
    """

    judge: Callable[[Tensor], tuple[Tensor, Tensor]]
    key: str
    record: dict[str, float | str]


@dataclass(frozen=True)
class Trained:
    """A trained method in evaluation mode, its data or its problem, and where to write artefacts."""

    method: Method
    latent_dim: int
    dataset: str
    data: Data | None
    problem: Any
    folder: Path
    references: Path
    device: torch.device
    final: bool = True
    provides: frozenset[str] = frozenset()
    images_per_second: float = 0.0
    find_classifier: Callable[[], Classifier] | None = None
    root: Path = Path("data")
    seed: int = 0
    drawn: list[Tensor] = field(default_factory=list)
    judged: dict[tuple[str, int], Any] = field(default_factory=dict)

    def samples(self, n: int) -> Tensor:
        """The method's first n images [n, *x_shape]: drawn once for all metrics, 256 at a time with a seed each."""
        with torch.random.fork_rng(), torch.no_grad():
            while len(self.drawn) * TOGETHER < n:
                torch.manual_seed(self.seed + len(self.drawn))
                self.drawn.append(self.method.sample(TOGETHER, self.device))
        return torch.cat(self.drawn[: -(-n // TOGETHER)])[:n]

    def classifier(self) -> Classifier:
        """The dataset's evaluation classifier."""
        if self.find_classifier is None:
            raise NotRunError(f"dataset {self.dataset} has no classifier")
        return self.find_classifier()

    def test_x(self, n: int) -> Tensor:
        """The first n test images [n, *x_shape] (all of them if there are fewer)."""
        if self.data is None:
            raise NotRunError("a problem has no test images")
        return self.data.test_x[:n]

    def train_x(self, n: int) -> Tensor:
        """The first n training images [n, *x_shape] as test images are: bins' centres of levels, else v/255."""
        if self.data is None:
            raise NotRunError("a problem has no training images")
        v = self.data.train.pixels[:n].float()
        return (v + 0.5) / 256 if self.data.train.pixels_as == "levels" else v / 255

    def posterior_draws(self, n: int) -> Tensor:
        """n draws [n, latent] of q(z) where there is no data."""
        return self.method.encode(torch.zeros(n, 0, device=self.device))

    def reference_draws(self, n: int, kind: str) -> numpy.ndarray:
        """n draws [n, latent] of the problem's posterior: `exact`, or `hmc` from the reference job."""
        path = self.references / f"{self.dataset}.npz"
        try:
            stored = read_arrays(path)
        except (FileNotFoundError, DamagedError) as error:
            again = f"delete {path.with_suffix('.json')} and give the same command again"
            raise SuiteError(f"{path}: missing or damaged; {again}") from error
        if kind not in stored:
            raise NotRunError(f"{self.dataset} has no {kind!r} reference; it has {', '.join(stored)}")
        draws = stored[kind]
        if len(draws) < n:
            raise NotRunError(f"{path.name} holds {len(draws)} {kind} draws, {n} are wanted; lower n")
        return draws[:n]


def average(per_example: Tensor, protocol: str = "", **details: float | str) -> Estimate:
    """Mean over examples [n] with its standard error."""
    values = per_example.double()
    error = float(values.std() / len(values) ** 0.5) if len(values) >= FEWEST else None
    return Estimate(float(values.mean()), error, len(values), protocol, details)


def mean_over_draws(score: Callable[[Tensor], Tensor], x: Tensor, draws: int, batch: int, least: int = 4096) -> Tensor:
    """Mean [n] of `draws` calls of a random `score` ([b, ...] -> [b]); more calls where there are few images."""
    draws = max(draws, -(-least // len(x)))
    with torch.no_grad():
        return torch.cat([torch.stack([score(piece) for _ in range(draws)]).mean(0) for piece in x.split(batch)])


def batch_of(x: Tensor, y: Tensor | None = None) -> Batch:
    """A batch for evaluation: annealing is over."""
    return Batch(x, y, 2**31)
