"""Datasets: uint8 arrays with labels and splits, in memory or memory-mapped; benchmarks/data/sources.py reads them."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch

from benchmarks.config.models import Dataset
from benchmarks.data.image_files import Arrays, read_images
from benchmarks.data.sources import SOURCES, Domains, NoDownloadError
from benchmarks.errors import NotRunError, SuiteError
from methods.training.atomic_files import file_sum
from methods.training.minibatches import Images

BINARISATION_SEED = 777  # as in the VampPrior and Sylvester code: test bits are drawn once, for every method
PROTOCOLS = {
    "binary": "binary",
    "binarised": f"binarised, test bits frozen with seed {BINARISATION_SEED}",
    "grey": "grey levels as probabilities",
    "levels": "8-bit levels, bins of 1/256",
}
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Data:
    """A loaded dataset: `train` for the game, `test_x` [n, *x_shape] in [0, 1] with its bits frozen.

    `pixels` is part of every protocol id; `test_y` [n] is None for a dataset without classes. Of two domains,
    test images are the target's, and `source_test_x` are the source's.
    """

    name: str
    train: Images
    validation_x: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor | None
    pixels: str
    validation_y: torch.Tensor | None = None
    source_test_x: torch.Tensor | None = None

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.train.x_shape


def verify(definition: Dataset, root: Path) -> None:
    """SuiteError if a file that is present is not the file it should be."""
    for file, expected in definition.checksums.items():
        path = root / file
        if expected is not None and path.exists():
            found = file_sum(path, "md5")
            if found != expected:
                raise SuiteError(
                    f"{path}: {path.stat().st_size} bytes with md5 {found}, expected {expected}: truncated or "
                    f"another file; delete it and run again, or put the right one there"
                )


def absent(name: str, definition: Dataset, root: Path, error: BaseException) -> NotRunError:
    """What was looked for where, why it cannot be fetched, and what to put there."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    why = reason if isinstance(error, NoDownloadError) else f"its download failed ({reason})"
    files = definition.files if len(definition.files) < 8 else [definition.files[0], "...", *definition.files[-2:]]
    by_hand = f" ({definition.instructions})" if definition.instructions else ""
    known = " (md5 in benchmarks/datasets.yml)" if any(definition.checksums.values()) else ""
    return NotRunError(
        f"dataset {name} not found in {root} and {why}; put {definition.size} there as {', '.join(files)}{known}"
        f"{by_hand} or set VGB_DATA_ROOT; profile quick needs no download"
    )


def load_arrays(name: str, definition: Dataset, root: Path) -> Arrays:
    """The arrays of a dataset, checked; NotRunError with what to put where if it cannot be had."""
    if definition.source not in SOURCES:
        raise SuiteError(f"benchmarks/datasets.yml: {name}: unknown source {definition.source!r}")
    verify(definition, root)
    substitute = definition.substitute(root)
    try:
        found = read_images(root / substitute) if substitute else SOURCES[definition.source](definition, root)
    except UNREADABLE as error:
        if substitute or definition.present(root):
            raise SuiteError(f"{name}: cannot be read from {root}: {error}; delete its files and run again") from error
        raise absent(name, definition, root, error) from error
    shape, expected = found.train_x.shape[1:], definition.x_shape
    if not len(found.train_x) or not len(found.test_x) or expected not in ((0,), shape):
        raise SuiteError(f"{name}: {len(found.train_x)} training images of shape {shape}; expected {expected}")
    return found


def load(name: str, definition: Dataset, root: Path, device: torch.device) -> Data:
    """Load a dataset; raises SuiteError or NotRunError with one line."""
    found, held_out = load_arrays(name, definition, root), definition.validation

    def labels(y: numpy.ndarray | None) -> torch.Tensor | None:
        return None if y is None else torch.from_numpy(y).to(device)

    held_y, train_y = (None, None) if found.train_y is None else numpy.split(found.train_y, [held_out])
    train = Images(torch.from_numpy(found.train_x[held_out:]).to(device), labels(train_y), definition.pixels)
    random = numpy.random.RandomState(BINARISATION_SEED)

    def frozen(v: numpy.ndarray) -> torch.Tensor:
        """What a test image is: the centres of the bins of 8-bit levels, else v/255 or bits drawn from it."""
        x = v.astype(numpy.float32)
        if definition.pixels == "levels":
            x += 0.5
            x /= 256
        else:
            x /= 255
        if definition.pixels == "binarised":
            x = (random.random_sample(x.shape) < x).astype(numpy.float32)
        return torch.from_numpy(x).to(device)

    test = frozen(found.test_x)
    substitute = definition.substitute(root)
    pixels = PROTOCOLS[definition.pixels] + (f", {definition.substitutes[substitute]}" if substitute else "")
    source = frozen(found.source_test_x) if isinstance(found, Domains) else None
    held_x = frozen(found.train_x[:held_out])
    return Data(name, train, held_x, test, labels(found.test_y), pixels, labels(held_y), source)
