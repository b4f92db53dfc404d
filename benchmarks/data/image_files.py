"""Folders and zips of images, decoded once into .npy files in a cache folder that may be deleted at any time."""

import fcntl
import hashlib
import io
import os
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy
from PIL import Image, ImageOps

from benchmarks.errors import NotRunError, SuiteError
from benchmarks.store.content import cache_root
from benchmarks.store.records import read_json, write_json
from methods.training.atomic_files import DamagedError, file_sum

ENDINGS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}  # those without transparency
SPLITS = ("train", "test")
SUMS = "sums.json"
LARGEST_FILE = 1 << 28  # bytes of one image file within a zip
TEST_SHARE = 0.1  # of a folder without splits
SHARE = 0.25  # of RAM: larger datasets are memory-mapped
DARKEST = 32  # uint8 images without a value as high are of another range: 0 and 1, or 0 to 15, 16 or 31
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Arrays:
    """uint8 images [n, channels, height, width] and int64 classes [n], or None where there are none."""

    train_x: numpy.ndarray
    train_y: numpy.ndarray | None
    test_x: numpy.ndarray
    test_y: numpy.ndarray | None


@dataclass(frozen=True)
class Part:
    """A split that has yet to be read: `blocks` are uint8 [k, channels, height, width], n images in all."""

    n: int
    blocks: Iterable[numpy.ndarray]
    labels: numpy.ndarray | None


def range_fault(least: int, greatest: int) -> str:
    """What is wrong with uint8 images of these extremes if they can hardly mean 0 (black) to 255 (white), else ""."""
    if not 0 < greatest < DARKEST:  # all black is black in every range
        return ""
    factor = "255" if greatest == 1 else f"255 / {greatest}"
    found = f"uint8 with values {least} to {greatest}; expected 0 (black) to 255 (white)"
    return f"{found}: multiply by {factor} if {greatest} is white"


def ram() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def stamp(path: Path) -> str:
    """Changes when the file does."""
    found = path.stat()
    return f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"


def write(folder: Path, name: str, part: Part) -> None:
    """One split as .npy files, one block in memory at a time; ValueError unless it holds `part.n` images."""
    blocks = iter(part.blocks)
    first = next(blocks, None)
    if first is None:
        raise ValueError(f"no images for the {name} split")
    file = folder / f"{name}_x.npy"
    x = numpy.lib.format.open_memmap(file, "w+", numpy.uint8, (part.n, *first.shape[1:]))
    done = 0
    for block in chain([first], blocks):
        x[done : done + len(block)] = block
        done += len(block)
    if done != part.n:
        raise ValueError(f"{done} images but {part.n} labels for the {name} split")
    x.flush()
    if part.labels is not None:
        numpy.save(folder / f"{name}_y.npy", part.labels)


def whole(folder: Path) -> bool:
    """Whether decoded images are there as they were written; damaged ones are deleted."""
    if not folder.exists():
        return False
    try:
        if all(file_sum(folder / name) == stated for name, stated in read_json(folder / SUMS).items()):
            return True
    except (SuiteError, DamagedError, FileNotFoundError):
        pass
    print(f"{folder}: damaged, or without sums: decoding the images again", file=sys.stderr)
    shutil.rmtree(folder)
    return False


def cached(name: str, key: Iterable[str], splits: Callable[[], tuple[Part, Part]]) -> Arrays:
    """What `splits` gives for training and for testing, read once for each `key`; memory-mapped if above SHARE."""
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SuiteError(f"{root}: no folder for decoded images ({error}); set VGB_CACHE to one") from error
    folder = root / f"{name}-{hashlib.sha256('|'.join(key).encode()).hexdigest()[:16]}"
    with open(f"{folder}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel jobs wait for the first one
        if not whole(folder):
            with tempfile.TemporaryDirectory(dir=root) as temporary:
                complete = Path(temporary) / "complete"
                complete.mkdir()
                for split, part in zip(SPLITS, splits(), strict=True):
                    write(complete, split, part)
                write_json(complete / SUMS, {file.name: file_sum(file) for file in sorted(complete.glob("*.npy"))})
                complete.rename(folder)
    files = {file.stem: file for file in folder.glob("*.npy")}
    large = sum(file.stat().st_size for file in files.values()) > SHARE * ram()
    found = {n: numpy.load(file, mmap_mode="c" if large else None) for n, file in files.items()}
    return Arrays(found["train_x"], found.get("train_y"), found["test_x"], found.get("test_y"))


class Decoder:
    """Image files as uint8 [1, channels, height, width], all like the first one; `prepare` may crop and resize."""

    def __init__(self, path: Path, prepare: Callable[[Image.Image], Image.Image]):
        self.path, self.prepare = path, prepare
        self.first: tuple[str, str, tuple[int, int]] | None = None

    def __call__(self, name: str, content: bytes) -> numpy.ndarray:
        """SuiteError with the file's name if it is no image, or one of another size or kind than the first."""
        try:
            image = Image.open(io.BytesIO(content))
            if image.mode not in MODES:
                raise SuiteError(
                    f"{self.path}: {name} has mode {image.mode}; expected 8-bit grey or colour without transparency: "
                    f"convert it to RGB"
                )
            image = self.prepare(image.convert(MODES[image.mode]))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise SuiteError(f"{self.path}: {name} cannot be read ({error}); replace or delete it") from error
        self.first = self.first or (name, image.mode, image.size)
        self._compare(name, image, *self.first)
        pixels = numpy.asarray(image)
        return pixels[None, None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]

    def _compare(self, name: str, image: Image.Image, like: str, mode: str, size: tuple[int, int]) -> None:
        if image.mode != mode:
            kinds = {"L": "grey", "RGB": "in colour"}
            raise SuiteError(
                f"{self.path}: {name} is {kinds[image.mode]} but {like} is {kinds[mode]}; convert all to one kind"
            )
        if image.size != size:
            raise SuiteError(
                f"{self.path}: {name} is {image.width}x{image.height} but {like} is {size[0]}x{size[1]}; "
                f"make all of one size (folder:<path>@<side> crops and resizes them)"
            )


@contextmanager
def opened(path: Path) -> Iterator[tuple[list[str], Read]]:
    """The image files of a folder or a zip, sorted, and how to read one."""
    if path.is_dir():
        inside = (p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        yield images_among(inside), lambda name: (path / name).read_bytes()
        return
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise SuiteError(
            f"{path}: {path.stat().st_size} bytes, not a whole zip: truncated or another file; replace it"
        ) from None
    with archive:
        names = images_among(archive.namelist())
        for info in map(archive.getinfo, names):
            if info.file_size > LARGEST_FILE:
                raise SuiteError(
                    f"{path}: {info.filename} would unpack to {info.file_size:,} bytes, more than the {LARGEST_FILE:,} "
                    f"that an image file may have; take it out of the zip"
                )
        yield names, archive.read


def images_among(names: Iterable[str]) -> list[str]:
    """Image files, without what operating systems hide."""
    shown = (n for n in names if not any(p.startswith((".", "__MACOSX")) for p in PurePosixPath(n).parts))
    return sorted(n for n in shown if n.lower().endswith(ENDINGS))


def divided(names: list[str]) -> list[tuple[list[str], numpy.ndarray | None]]:
    """(names, classes) to train on and to test on, each in a fixed random order.

    Folders `train` and `test` are the splits if there are both (images elsewhere are left out), else TEST_SHARE is
    tested on. The innermost other folder is the class; None if there is only one.
    """
    order = [names[i] for i in numpy.random.default_rng(0).permutation(len(names))]
    folders = {name: PurePosixPath(name).parent.parts for name in names}
    split = {name: next((f for f in folders[name] if f in SPLITS), None) for name in names}
    if set(split.values()) >= set(SPLITS):
        parts = [[name for name in order if split[name] == s] for s in SPLITS]
        folders = {name: tuple(f for f in folders[name] if f not in SPLITS) for name in names}
    else:
        first = max(1, round(TEST_SHARE * len(order)))
        parts = [order[first:], order[:first]]
    innermost = {name: folders[name][-1] if folders[name] else "" for part in parts for name in part}
    number = {folder: i for i, folder in enumerate(sorted(set(innermost.values())))}
    if len(number) == 1:
        return [(part, None) for part in parts]
    return [(part, numpy.array([number[innermost[name]] for name in part], numpy.int64)) for part in parts]


def read_images(path: Path, side: int | None = None) -> Arrays:
    """The images of a folder or zip, cropped and resized to `side` if given; SuiteError names the file at fault."""
    if not path.exists():
        raise NotRunError(f"{path}: no such folder or zip of images; put it there or set VGB_DATA_ROOT")
    with opened(path) as (names, read):
        if len(names) < 2:
            raise SuiteError(
                f"{path}: {len(names)} images ({', '.join(ENDINGS)}) found; at least two are needed: one to train on, "
                f"one to test on"
            )
        inside = [stamp(path / n) for n in names] if path.is_dir() else []

        def splits() -> tuple[Part, Part]:
            decode = Decoder(path, lambda i: ImageOps.fit(i, (side, side)) if side else i)

            values, still = [], len(names)

            def blocks(chosen: list[str]) -> Iterator[numpy.ndarray]:
                nonlocal still
                for name in chosen:
                    block = decode(name, content(path, name, read))
                    values.extend((int(block.min()), int(block.max())))
                    yield block
                still -= len(chosen)
                fault = "" if still > 0 else range_fault(min(values), max(values))  # of all splits together
                if fault:
                    raise SuiteError(f"{path}: {len(names)} images in {fault}")

            def part(chosen: list[str], labels: numpy.ndarray | None) -> Part:
                return Part(len(chosen), blocks(chosen), labels)

            train, test = divided(names)
            return part(*train), part(*test)

        return cached(path.stem, [stamp(path), *inside, str(side)], splits)


def content(path: Path, name: str, read: Read) -> bytes:
    """The bytes of one file; SuiteError if it is damaged within its zip."""
    try:
        return read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SuiteError(f"{path}: {name} is damaged ({error}); replace the zip") from error
