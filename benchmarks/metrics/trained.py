"""What a metric is given: a trained method with its data, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from benchmarks.data.datasets import Data
from benchmarks.errors import NotRunError, SuiteError
from benchmarks.hardware.provenance import data_sha256
from benchmarks.store.records import Kind
from methods.method import Method
from methods.training.atomic_files import DamagedError, read_arrays
from methods.training.game import Batch
from methods.training.minibatches import Images

TOGETHER = 256  # an autoregressive model draws many images in little more time than a few
FEWEST = 30  # test images: fewer are the whole population (the 4-point data), not a sample of one
WHOLE = 2**20  # draws for a whole population, whose estimate has no other noise than theirs


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error over `n` things; `protocol` says what a column may not mix.

    `low` and `high` enclose the truth where the estimate's bias is known to lie between two values; `low` without
    `high`: nothing is known above. `kind`: what this number is, where that is not the metric's KIND. `warning`: what a
    reader must know before using it.

    `draws_error` is the part of the standard error that is Monte-Carlo noise with images and weights fixed, and
    `images_error` the part over images that all runs share; the rest is over what the metric's VARIES names.
    `per_image` [n]: the terms of a mean over test images, in their order, as the metric's PER_IMAGE says.
    `controls`: name -> value at chance level.
    """

    value: float
    standard_error: float | None = None
    n: int | None = None
    protocol: str = ""
    details: dict[str, float | str] = field(default_factory=dict)
    kind: Kind | None = None
    low: float | None = None
    high: float | None = None
    warning: str = ""
    draws_error: float | None = None
    images_error: float | None = None
    per_image: Tensor | None = field(default=None, compare=False, repr=False)
    controls: dict[str, float] = field(default_factory=dict)


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
    # of these weights only: `dataclasses.replace` makes them anew
    drawn: list[Tensor] = field(default_factory=list, init=False)
    judged: dict[tuple[str, int], Any] = field(default_factory=dict, init=False)

    @property
    def population(self) -> bool:
        """Whether the dataset's test images are all there is, and no sample of more."""
        return self.data is not None and len(self.data.test_x) < FEWEST

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

    def train_x(self, n: int | None = None) -> Tensor:
        """The first n training images (all without n) [n, *x_shape] as test images are."""
        return self.as_test_images(self.training.pixels[:n])

    @property
    def training(self) -> Images:
        """The dataset's training images."""
        if self.data is None:
            raise NotRunError("a problem has no training images")
        return self.data.train

    def as_test_images(self, v: Tensor) -> Tensor:
        """Training pixels v from 0 to 255 as test images are, grey where those are bits: bins' centres, else v/255."""
        return (v.float() + 0.5) / 256 if self.training.pixels_as == "levels" else v.float() / 255

    @cached_property
    def mean_image(self) -> Tensor:
        """Mean of all training images [*x_shape], float64, as test images are."""
        parts = [self.as_test_images(v).double().sum(0) for v in self.training.pixels.split(TOGETHER * 16)]
        return torch.stack(parts).sum(0) / len(self.training)

    @cached_property
    def train_content(self) -> str:
        """SHA-256 of the training images: what is kept of them is kept under it, not under the dataset's name."""
        return data_sha256(Images(self.training.pixels, None, self.training.pixels_as))

    def posterior_draws(self, n: int) -> Tensor:
        """n draws [n, latent] of q(z) where there is no data."""
        return self.method.encode(torch.zeros(n, 0, device=self.device))

    def reference_draws(self, n: int, kind: str) -> numpy.ndarray:
        """n draws [n, latent] of the problem's posterior: `exact`, or `hmc` from the reference job."""
        path = self.references / f"{self.dataset}.npz"
        try:
            stored = read_arrays(path)
        except (FileNotFoundError, DamagedError) as error:
            raise SuiteError(f"{path}: missing or damaged; the next call of snakemake makes it again") from error
        if kind not in stored:
            known = ", ".join(stored)
            raise NotRunError(
                f"{self.dataset} has no {kind!r} reference (HMC only where its checks hold); it has {known}"
            )
        draws = stored[kind]
        if len(draws) < n:
            raise NotRunError(f"{path.name} holds {len(draws)} {kind} draws, {n} are wanted; lower n")
        return draws[:n]


def average(
    per_example: Tensor,
    protocol: str = "",
    noise: Tensor | None = None,
    population: bool = False,
    **details: float | str,
) -> Estimate:
    """Mean over examples [n] with its standard error, and each example's term.

    Of a sample of examples, over them, which covers the noise of each. Of a whole population, that of `noise` [n], the
    standard error of each example's own value; without noise the mean is exact. `draws_error` is that of `noise`.
    """
    values = per_example.double()
    drawn = None if noise is None else float(noise.double().square().sum().sqrt() / len(values))
    if population:
        error = drawn = drawn or 0.0
    else:  # one example does not show how examples differ
        error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    return Estimate(
        float(values.mean()), error, len(values), protocol, details, draws_error=drawn, per_image=per_example
    )


def log_mean_error(log_weights: Tensor) -> Tensor:
    """Standard error [n] of the logarithm of the mean of exp(log_weights) [n, draws] over draws (delta method)."""
    w = (log_weights - log_weights.amax(1, keepdim=True)).double().exp()
    return w.std(1) / w.mean(1) / w.shape[1] ** 0.5


def mean_over_draws(
    score: Callable[[Tensor], Tensor], x: Tensor, draws: int, batch: int, least: int = 0
) -> tuple[Tensor, Tensor]:
    """Mean of at least `draws` random scores ([b, ...] -> [b]) of each image, and its standard error, both [n].

    All images together have at least `least` scores; about `batch` rows are scored at once.
    """
    means, errors = [], []
    for piece in x.split(batch):
        wanted, done = max(draws, 2, -(-least // len(x))), 0
        total, squares = torch.zeros(2, len(piece), dtype=torch.float64, device=x.device)
        while done < wanted:
            k = min(max(1, batch // len(piece)), wanted - done)
            with torch.no_grad():
                found = score(piece.repeat(k, *(1 for _ in piece.shape[1:]))).double().reshape(k, -1)
            total, squares, done = total + found.sum(0), squares + found.square().sum(0), done + k
        means.append(total / done)
        errors.append(((squares / done - means[-1].square()).clamp_min(0) / (done - 1)).sqrt())
    return torch.cat(means), torch.cat(errors)


def best_possible(x: Tensor) -> float | None:
    """The highest mean log-likelihood of binary images x [n, ...] that any model has, nats; None of other images.

    It is minus the entropy of their frequencies: no distribution gives more to the images than these themselves.
    """
    if not ((x == 0) | (x == 1)).all():
        return None
    counts = x.flatten(1).unique(dim=0, return_counts=True)[1].double()
    return float((counts / len(x) * (counts / len(x)).log()).sum())


def checked(found: Estimate, x: Tensor) -> Estimate:
    """An estimated mean log-likelihood of images x; with a warning where no model can have it."""
    best = best_possible(x)
    if best is None or found.value <= best + 3 * (found.standard_error or 0.0) + 1e-6:
        return found
    return replace(
        found,
        kind="impossible",
        warning=f"impossible: above {best:.4f}, the highest value of any model on these images",
    )


def batch_of(x: Tensor, y: Tensor | None = None) -> Batch:
    """A batch for evaluation: annealing is over."""
    return Batch(x, y, 2**31)
