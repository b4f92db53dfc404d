"""Where datasets come from: one function per source, from the data root to uint8 arrays."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from benchmarks.config.models import Dataset
from benchmarks.data.image_files import Arrays, Decoder, Part, cached, read_images, stamp
from benchmarks.errors import SuiteError

CELEBA_CROP = 140


class NoDownloadError(OSError):
    """Only a person may fetch these data."""


@dataclass(frozen=True)
class Domains(Arrays):
    """Two domains: `train_y` is -1 for target images, the test split is the target's, `source_test_x` the source's."""

    source_test_x: numpy.ndarray


def four_points(definition: Dataset, root: Path) -> Arrays:
    """The 2x2 images with exactly one pixel lit (AVB figure 5); train and test are the same four."""
    x = (numpy.eye(4).reshape(4, 1, 2, 2) * 255).astype(numpy.uint8)
    return Arrays(x, numpy.arange(4), x, numpy.arange(4))


def digits(definition: Dataset, root: Path) -> Arrays:
    """scikit-learn's 1,797 digits, 8x8 grey: 1,437 to train on, 360 to test on, by a fixed permutation."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    x = numpy.round(bunch.images / 16 * 255).astype(numpy.uint8)[:, None]
    order = numpy.random.default_rng(0).permutation(len(x))
    train, test = order[:1437], order[1437:]
    return Arrays(x[train], bunch.target[train], x[test], bunch.target[test])


def strips(width: int, side: int) -> dict[str, tuple[int, int]]:
    """First and last column (excluded) of each split, left to right; the gaps are as wide as a patch."""
    validation = width - width // 8
    test = validation - side - width // 5
    return {"train": (0, test - side), "test": (test, validation - side), "validation": (validation, width)}


def cut(
    photograph: numpy.ndarray, columns: tuple[int, int], side: int, n: int, random: numpy.random.Generator
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """n patches [n, 3, side, side] within these columns of a photograph [height, width, 3], and their thirds [n]."""
    height = photograph.shape[0]
    top = random.integers(0, height - side + 1, n)
    left = random.integers(columns[0], columns[1] - side + 1, n)
    windows = numpy.lib.stride_tricks.sliding_window_view(photograph, (side, side), (0, 1))
    return windows[top, left], (2 * top + side) * 3 // (2 * height)


def patches(definition: Dataset, root: Path) -> Arrays:
    """Patches of scikit-learn's two photographs: 4,000 + 512 of 32x32, 2,000 + 256 of 64x64.

    Splits come from strips of the photographs that no patch of another split touches. The class is the photograph and
    the third of its height that holds the patch's centre. Half of the training patches are flipped left to right.
    """
    from sklearn.datasets import load_sample_images

    bunch: Any = load_sample_images()
    side, random = definition.x_shape[1], numpy.random.default_rng(0)
    counts = {"validation": definition.validation, "train": 4000 * 32 // side, "test": 512 * 32 // side}
    counts["train"] -= definition.validation
    x, y = {}, {}
    for split, n in counts.items():
        pieces = []
        for number, photograph in enumerate(bunch.images):
            patch, third = cut(photograph, strips(photograph.shape[1], side)[split], side, n // 2, random)
            pieces.append((patch, 3 * number + third))
        order = random.permutation(2 * (n // 2))
        x[split], y[split] = (numpy.concatenate(a)[order] for a in zip(*pieces, strict=True))
    flip = random.random(len(x["train"])) < 0.5
    x["train"][flip] = x["train"][flip, :, :, ::-1]
    train_x, train_y = (numpy.concatenate([a["validation"], a["train"]]) for a in (x, y))
    return Arrays(train_x, train_y, x["test"], y["test"])


def mnist(definition: Dataset, root: Path) -> Arrays:
    """MNIST through torchvision: 60,000 + 10,000 grey images, downloaded to the data root if absent."""
    from torchvision.datasets import MNIST

    sets = [MNIST(str(root), train=part, download=not (root / "MNIST" / "raw").exists()) for part in (True, False)]
    train, test = ((s.data.numpy()[:, None], s.targets.numpy()) for s in sets)
    return Arrays(*train, *test)


def cifar10(definition: Dataset, root: Path) -> Arrays:
    """CIFAR-10 through torchvision: 50,000 + 10,000 colour images, downloaded to the data root if absent."""
    from torchvision.datasets import CIFAR10

    absent = not definition.present(root)
    sets = [CIFAR10(str(root), train=part, download=absent) for part in (True, False)]
    train, test = ((numpy.ascontiguousarray(s.data.transpose(0, 3, 1, 2)), numpy.array(s.targets)) for s in sets)
    return Arrays(*train, *test)


def svhn(definition: Dataset, root: Path) -> Arrays:
    """SVHN through torchvision: 73,257 + 26,032 colour images, downloaded to the data root if absent."""
    from torchvision.datasets import SVHN

    absent = not definition.present(root)
    sets = [SVHN(str(root), split=part, download=absent) for part in ("train", "test")]
    train, test = ((numpy.ascontiguousarray(s.data), s.labels) for s in sets)
    return Arrays(*train, *test)


def pair(name: str, source: Arrays, target: Arrays) -> Domains:
    """The training images of both, the target's labels hidden; SuiteError if they cannot be two domains."""
    shapes = [arrays.train_x.shape[1:] for arrays in (source, target)]
    if shapes[0] != shapes[1] or source.train_y is None:
        raise SuiteError(
            f"{name}: source images of shape {shapes[0]} {'without' if source.train_y is None else 'with'} labels and "
            f"target images of shape {shapes[1]}; two domains need one shape and the source's labels: choose others"
        )
    hidden = numpy.full(len(target.train_x), -1, source.train_y.dtype)
    x, y = numpy.concatenate([source.train_x, target.train_x]), numpy.concatenate([source.train_y, hidden])
    return Domains(x, y, target.test_x, target.test_y, source.test_x)


def halves(arrays: Arrays) -> tuple[Arrays, Arrays]:
    """The first and the second half of the training images, both with all test images: no image trains two domains."""
    middle = len(arrays.train_x) // 2

    def part(k: slice) -> Arrays:
        y = None if arrays.train_y is None else arrays.train_y[k]
        return Arrays(arrays.train_x[k], y, arrays.test_x, arrays.test_y)

    return part(slice(middle)), part(slice(middle, None))


def digits_pair(definition: Dataset, root: Path) -> Domains:
    """Half of the digits against the other half, moved a pixel to the right and at half contrast on grey."""
    source, other = halves(digits(definition, root))

    def shifted(x: numpy.ndarray) -> numpy.ndarray:
        moved = numpy.pad(x, ((0, 0), (0, 0), (0, 0), (1, 0)))[..., :-1]
        return moved // 2 + 64

    return pair("digits-pair", source, Arrays(shifted(other.train_x), None, shifted(other.test_x), other.test_y))


def on_photographs(x: numpy.ndarray, split: str, random: numpy.random.Generator) -> numpy.ndarray:
    """|crop - x| of grey images [n, 1, side, side], as MNIST-M (Ganin et al. 2016); crops of the split's strips."""
    from sklearn.datasets import load_sample_images

    photographs: Any = load_sample_images().images
    number, crops = random.integers(len(photographs), size=len(x)), numpy.empty(x.shape, numpy.int16)
    for k, photograph in enumerate(photographs):
        columns = strips(photograph.shape[1], x.shape[-1])[split]
        pieces, _ = cut(photograph, columns, x.shape[-1], int((number == k).sum()), random)
        crops[number == k] = pieces.mean(1, keepdims=True).round()
    return numpy.abs(crops - x).astype(numpy.uint8)


def mnist_pair(definition: Dataset, root: Path) -> Domains:
    """Half of MNIST against the other half on photographs; the crops of training and test images do not overlap."""
    source, other = halves(mnist(definition, root))
    random = numpy.random.default_rng(0)
    x = {split: on_photographs(v, split, random) for split, v in (("train", other.train_x), ("test", other.test_x))}
    return pair("mnist-pair", source, Arrays(x["train"], None, x["test"], other.test_y))


def imagenet64(definition: Dataset, root: Path) -> Arrays:
    """Downsampled ImageNet (Chrabaszcz et al. 2017): npz files with `data` [n, 12288] and `labels` from 1."""
    if not definition.present(root):
        raise NoDownloadError("there is no automatic download")
    *train, test = (root / file for file in definition.files)

    def part(files: list[Path]) -> Part:
        labels = []
        for file in files:
            with numpy.load(file) as stored:
                labels.append(numpy.asarray(stored["labels"], dtype=numpy.int64) - 1)

        def blocks():
            for file in files:
                with numpy.load(file) as stored:
                    yield stored["data"].reshape(-1, *definition.x_shape)

        y = numpy.concatenate(labels)
        return Part(len(y), blocks(), y)

    return cached("imagenet64", [stamp(file) for file in (*train, test)], lambda: (part(train), part([test])))


def celeba(definition: Dataset, root: Path) -> Arrays:
    """CelebA's aligned images, the central square resized; the official validation images come first; no classes."""
    from torchvision.datasets import CelebA

    if not definition.present(root):
        CelebA(str(root), download=True)
    folder, partition = (root / file for file in definition.files)
    with open(partition, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))

    def prepare(image: Image.Image) -> Image.Image:
        left, top = (image.width - CELEBA_CROP) // 2, (image.height - CELEBA_CROP) // 2
        square = image.crop((left, top, left + CELEBA_CROP, top + CELEBA_CROP))
        return square.resize((definition.x_shape[2], definition.x_shape[1]), Image.Resampling.BILINEAR)

    def splits() -> tuple[Part, Part]:
        decode = Decoder(folder, prepare)

        def part(*numbers: str) -> Part:
            names = [name for number in numbers for name, found in rows if found == number]
            return Part(len(names), (decode(name, (folder / name).read_bytes()) for name in names), None)

        return part("1", "0"), part("2")  # 0 trains, 1 validates, 2 tests

    return cached("celeba", [stamp(folder), stamp(partition), f"{CELEBA_CROP} {definition.x_shape}"], splits)


def folder(definition: Dataset, root: Path) -> Arrays:
    """A folder or zip of images."""
    return read_images(root / definition.path, definition.side)


SOURCES: dict[str, Callable[[Dataset, Path], Arrays]] = {
    "four_points": four_points,
    "digits": digits,
    "digits_pair": digits_pair,
    "patches": patches,
    "mnist": mnist,
    "mnist_pair": mnist_pair,
    "cifar10": cifar10,
    "svhn": svhn,
    "imagenet64": imagenet64,
    "celeba": celeba,
    "folder": folder,
}
