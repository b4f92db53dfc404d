"""Datasets: uint8 arrays with labels and splits, in memory. One function per source."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.config import Dataset
from benchmarks.errors import NotRunError, SuiteError
from methods.data import Images

BINARISATION_SEED = 777  # as in the VampPrior and Sylvester code: test bits are drawn once, for every method


@dataclass(frozen=True)
class Data:
    """A loaded dataset: `train` for the game, `test_x` [n, *x_shape] in [0, 1] with its bits frozen."""

    name: str
    train: Images
    validation_x: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    pixels: str

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.train.x_shape


Arrays = tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray]


def four_points(root: Path) -> Arrays:
    """The 2x2 images with exactly one pixel lit (AVB figure 5); train and test are the same four."""
    x = (numpy.eye(4).reshape(4, 1, 2, 2) * 255).astype(numpy.uint8)
    return x, numpy.arange(4), x, numpy.arange(4)


def digits(root: Path) -> Arrays:
    """scikit-learn's 1,797 digits, 8x8 grey: 1,437 to train on, 360 to test on, by a fixed permutation."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    x = numpy.round(bunch.images / 16 * 255).astype(numpy.uint8)[:, None]
    order = numpy.random.default_rng(0).permutation(len(x))
    train, test = order[:1437], order[1437:]
    return x[train], bunch.target[train], x[test], bunch.target[test]


def mnist(root: Path) -> Arrays:
    """MNIST through torchvision: 60,000 + 10,000 grey images, downloaded to the data root if absent."""
    from torchvision.datasets import MNIST

    sets = [MNIST(str(root), train=part, download=not (root / "MNIST" / "raw").exists()) for part in (True, False)]
    train, test = ((s.data.numpy()[:, None], s.targets.numpy()) for s in sets)
    return *train, *test


SOURCES: dict[str, Callable[[Path], Arrays]] = {"four_points": four_points, "digits": digits, "mnist": mnist}


def data_root(setting: str | None = None) -> Path:
    """Where downloaded data lie: the setting, else VGB_DATA_ROOT, else `data/` in the current folder."""
    return Path(setting or os.environ.get("VGB_DATA_ROOT") or "data").resolve()


def verify(name: str, definition: Dataset, root: Path) -> None:
    """SuiteError if a file that is present is not the file it should be."""
    for file, expected in definition.checksums.items():
        path = root / file
        if path.exists():
            found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            if found != expected:
                raise SuiteError(
                    f"{path}: {path.stat().st_size} bytes with md5 {found}, expected {expected}: truncated or "
                    f"another file; delete it and run again, or put the right one there"
                )


def present(name: str, definition: Dataset, root: Path) -> bool:
    """Whether every file of the dataset is on disk (always, for embedded ones)."""
    return all((root / file).exists() for file in definition.checksums)


def load_arrays(name: str, definition: Dataset, root: Path) -> Arrays:
    """The arrays of a dataset, checked; NotRunError with what to put where if it cannot be had."""
    verify(name, definition, root)
    try:
        return SOURCES[definition.source](root)
    except (OSError, RuntimeError, ValueError) as error:
        if present(name, definition, root):
            raise SuiteError(f"{name}: cannot be read from {root}: {error}; delete its files and run again") from error
        raise NotRunError(
            f"dataset {name} not found in {root} and its download failed ({str(error).splitlines()[0][:120]}); put "
            f"{definition.size} there as {', '.join(definition.checksums)} (md5 in benchmarks/datasets.yml) or set "
            f"VGB_DATA_ROOT; profile quick needs no download"
        ) from error


def load(name: str, definition: Dataset, root: Path, device: torch.device) -> Data:
    """Load a dataset; raises SuiteError or NotRunError with one line."""
    if definition.source not in SOURCES:
        raise SuiteError(f"benchmarks/datasets.yml: {name}: unknown source {definition.source!r}")
    train_x, train_y, test_x, test_y = load_arrays(name, definition, root)
    if train_x.shape[1:] != tuple(definition.x_shape) or not len(train_x) or not len(test_x):
        raise SuiteError(
            f"{name}: {len(train_x)} training images of shape {train_x.shape[1:]}; expected {definition.x_shape}"
        )
    held_out, train_x = train_x[: definition.validation], train_x[definition.validation :]
    images = Images(
        torch.from_numpy(train_x).to(device),
        torch.from_numpy(train_y[definition.validation :]).to(device),
        definition.binarise,
    )
    random = numpy.random.RandomState(BINARISATION_SEED)

    def frozen(x: numpy.ndarray) -> torch.Tensor:
        grey = x.astype(numpy.float32) / 255
        bits = (random.random_sample(grey.shape) < grey).astype(numpy.float32) if definition.binarise else grey
        return torch.from_numpy(bits).to(device)

    test = frozen(test_x)
    pixels = f"binarised, test bits frozen with seed {BINARISATION_SEED}" if definition.binarise else "binary"
    return Data(name, images, frozen(held_out), test, torch.from_numpy(test_y), pixels)
