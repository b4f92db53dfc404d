"""Folders and zips of images: splits, classes, copies, and the file at fault by name."""

import io
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from benchmarks.config.models import Dataset, dataset_named, load_file
from benchmarks.data import datasets
from benchmarks.errors import NotRunError, SuiteError

DEFINITIONS = load_file("datasets.yml", Dataset)
CPU = torch.device("cpu")
RANDOM = numpy.random.default_rng(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VGB_CACHE", str(tmp_path / "cache"))


def save(path, side=8, mode="RGB"):
    """A random image file; returns its pixels [channels, side, side]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = RANDOM.integers(0, 256, (side, side, bands), dtype=numpy.uint8).squeeze()
    Image.fromarray(pixels).convert(mode).save(path)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    return path


def load_folder(path, suffix=""):
    name = f"folder:{path}{suffix}"
    return datasets.load(name, dataset_named("run mine", name, DEFINITIONS), Path("nowhere"), CPU)


def test_cifar10_falls_back_to_the_jpeg_copy_and_says_so(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    x = {}
    for split, n in (("train", 4), ("test", 1)):
        for c in ("airplane", "truck"):
            for i in range(n):
                x[split, c, i] = save(tmp_path / "images" / split / c / f"{i:04}.png", side=32)
    zipped(tmp_path / "images", root / "cifar10-jpeg.zip")
    definition = DEFINITIONS["cifar10"].model_copy(update={"validation": 2})
    assert definition.state(root) == "JPEG copy"
    data = datasets.load("cifar10", definition, root, CPU)
    assert data.pixels == "8-bit levels, bins of 1/256, JPEG copy"
    assert (len(data.train), len(data.validation_x), len(data.test_x)) == (6, 2, 2)
    for found, y in zip((data.test_x * 256).floor().numpy(), data.test_y.tolist(), strict=True):
        assert numpy.array_equal(found, x["test", ("airplane", "truck")[y], 0])
    named = datasets.load("cifar10-jpeg", DEFINITIONS["cifar10-jpeg"].model_copy(update={"validation": 2}), root, CPU)
    assert torch.equal(named.test_x, data.test_x)


def test_imagenet64_as_a_folder(tmp_path):
    for split in ("train", "test"):
        for i in range(2):
            save(tmp_path / "imagenet64" / "images" / split / f"{i}.png", side=64)
    definition = DEFINITIONS["imagenet64"].model_copy(update={"validation": 0})
    data = datasets.load("imagenet64", definition, tmp_path, CPU)
    assert (len(data.train), len(data.test_x), data.test_y) == (2, 2, None)
    assert "folder of images" in data.pixels


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_own_images_with_splits_and_classes(tmp_path, kind):
    folder, x = tmp_path / "mine", {}
    for split, n in (("train", 3), ("test", 2)):
        for c in ("cat", "dog"):
            for i in range(n):
                x[split, c, i] = save(folder / "inner" / split / c / f"{i}.png")
    (folder / "README.txt").write_text("no image")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._0.png").write_bytes(b"no image")
    data = load_folder(folder if kind == "folder" else zipped(folder, tmp_path / "mine.zip"))
    assert (len(data.train), len(data.test_x)) == (6, 4)
    wanted = {(split, c): {x[k].tobytes() for k in x if k[:2] == (split, c)} for split, c, _ in x}
    for pixels, y in zip(data.train.pixels, data.train.labels.tolist(), strict=True):
        assert pixels.numpy().tobytes() in wanted["train", ("cat", "dog")[y]]
    levels = (data.test_x * 256).floor().to(torch.uint8)
    for pixels, y in zip(levels, data.test_y.tolist(), strict=True):
        assert pixels.numpy().tobytes() in wanted["test", ("cat", "dog")[y]]


def test_own_images_without_splits_are_split_once_and_for_all(tmp_path):
    folder = tmp_path / "mine"
    pixels = {save(folder / f"{i}.png", mode="L").tobytes() for i in range(20)}
    first = load_folder(folder)
    assert (len(first.train), len(first.test_x), first.x_shape) == (18, 2, (1, 8, 8))
    assert first.train.labels is None
    assert first.test_y is None
    test = (first.test_x * 256).floor().to(torch.uint8)
    both = [x.numpy().tobytes() for x in (*first.train.pixels, *test)]
    assert set(both) == pixels
    assert torch.equal(load_folder(folder).train.pixels, first.train.pixels)


def test_decoded_images_are_kept_until_a_file_changes(tmp_path):
    folder = tmp_path / "mine"
    for i in range(3):
        save(folder / f"{i}.png")
    before = load_folder(folder)
    stored = next((tmp_path / "cache").glob("*/train_x.npy"))
    written = stored.stat().st_mtime_ns
    load_folder(folder)
    assert stored.stat().st_mtime_ns == written
    for i in range(3):
        save(folder / f"{i}.png")
    assert not torch.equal(load_folder(folder).train.pixels, before.train.pixels)


def test_own_images_can_be_resized(tmp_path):
    for i, side in enumerate((8, 12, 30)):
        save(tmp_path / "mine" / f"{i}.png", side=side)
    assert load_folder(tmp_path / "mine", "@16").x_shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("files", "pieces"),
    [
        ({}, ["0 images", "at least two"]),
        ({"0.png": (8, "RGB")}, ["1 images", "at least two"]),
        ({f"{i}.png": (8 if i else 9, "RGB") for i in range(4)}, ["0.png", "9x9", "8x8", "@<side>"]),
        ({f"{i}.png": (8, "RGB" if i else "L") for i in range(4)}, ["0.png", "grey", "in colour"]),
        ({f"{i}.png": (8, "RGB" if i else "RGBA") for i in range(4)}, ["0.png", "mode RGBA", "convert"]),
    ],
    ids=["empty", "one image", "size", "grey and colour", "transparency"],
)
def test_own_images_that_cannot_be_used_are_named(tmp_path, files, pieces):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, (side, mode) in files.items():
        save(folder / name, side, mode)
    for path in (folder, zipped(folder, tmp_path / "mine.zip")):
        with pytest.raises(SuiteError) as caught:
            load_folder(path)
        message = str(caught.value)
        for piece in (*pieces, str(path)):
            assert piece in message
        assert "\n" not in message
    assert not list((tmp_path / "cache").glob("*/*.npy"))


def test_damaged_archives_and_images_are_named(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for i in range(4):
            archive.writestr(f"{i}.png", b"no image" if i == 2 else (save(tmp_path / "x.png"), b"")[1])
    whole = content.getvalue()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SuiteError, match=r"cut.zip: \d+ bytes, not a whole zip"):
        load_folder(tmp_path / "cut.zip")
    (tmp_path / "bad.zip").write_bytes(whole)
    with pytest.raises(SuiteError, match=r"bad.zip: \d.png cannot be read"):
        load_folder(tmp_path / "bad.zip")
    save(tmp_path / "mine" / "0.png")
    save(tmp_path / "mine" / "1.png")
    flipped = bytearray(zipped(tmp_path / "mine", tmp_path / "flipped.zip").read_bytes())
    flipped[60] ^= 255
    (tmp_path / "flipped.zip").write_bytes(flipped)
    with pytest.raises(SuiteError, match=r"flipped.zip: 0.png is damaged"):
        load_folder(tmp_path / "flipped.zip")


def test_absent_folders_and_unknown_names(tmp_path):
    with pytest.raises(NotRunError, match="no such folder or zip"):
        load_folder(tmp_path / "nothing")
    with pytest.raises(
        SuiteError, match=r"run mine: unknown dataset 'cifar-10'; did you mean 'cifar10'.*folder:<path>"
    ):
        dataset_named("run mine", "cifar-10", DEFINITIONS)
    named = dataset_named("run mine", "folder:a@b/photos@32", DEFINITIONS)
    assert (named.path, named.side) == (str(Path("a@b/photos").resolve()), 32)
