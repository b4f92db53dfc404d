"""Datasets: splits, frozen bits, levels, and clear words when files are absent, truncated or empty."""

import pickle
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from benchmarks.cli.main import main
from benchmarks.config.models import Dataset, load_file
from benchmarks.data import datasets, image_files, sources
from benchmarks.errors import NotRunError, SuiteError
from benchmarks.hardware.host import data_root
from methods.training.minibatches import Images, Minibatches

DEFINITIONS = load_file("datasets.yml", Dataset)
CPU = torch.device("cpu")
RANDOM = numpy.random.default_rng(0)


@pytest.fixture(autouse=True)
def _own_cache_and_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("VGB_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy"):  # nobody listens there: every download fails at once
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")


def noise(*shape):
    return RANDOM.integers(0, 256, shape, dtype=numpy.uint8)


def without_checksums(name, **changes):
    """A definition whose files may have any content."""
    files = dict.fromkeys(DEFINITIONS[name].checksums)
    return DEFINITIONS[name].model_copy(update={"checksums": files, **changes})


def test_digits_are_split_and_test_bits_are_frozen(tmp_path):
    first = datasets.load("digits", DEFINITIONS["digits"], tmp_path, CPU)
    again = datasets.load("digits", DEFINITIONS["digits"], tmp_path, CPU)
    assert (len(first.train), len(first.validation_x), len(first.test_x)) == (1300, 137, 360)
    assert torch.equal(first.test_x, again.test_x)
    assert set(first.test_x.unique().tolist()) == {0.0, 1.0}
    train = {bytes(x.numpy().tobytes()) for x in first.train.pixels}
    grey = sources.digits(DEFINITIONS["digits"], tmp_path).test_x
    # a few of the 1,797 scans are pixel-identical; beyond those, no test image was trained on
    assert sum(bytes(x.tobytes()) in train for x in grey) <= 2


def test_grey_levels_are_probabilities_of_the_same_images(tmp_path):
    grey = datasets.load("digits-grey", DEFINITIONS["digits-grey"], tmp_path, CPU)
    bits = datasets.load("digits", DEFINITIONS["digits"], tmp_path, CPU)
    assert torch.equal(grey.train.pixels, bits.train.pixels)
    index = torch.arange(5)
    assert torch.equal(grey.train.batch(index).x, grey.train.pixels[:5].float() / 255)
    expected = sources.digits(DEFINITIONS["digits"], tmp_path).test_x / numpy.float32(255)
    assert numpy.array_equal(grey.test_x.numpy(), expected)
    assert grey.pixels != bits.pixels


def test_training_bits_are_drawn_anew():
    images = Images(torch.full((4, 1, 2, 2), 128, dtype=torch.uint8), pixels_as="binarised")
    index = torch.zeros(4000, dtype=torch.long)
    a, b = images.batch(index).x, images.batch(index).x
    assert not torch.equal(a, b)
    assert abs(float(a.mean()) - 128 / 255) < 4 * 0.5 / 16000**0.5


def test_dequantised_levels_are_fresh_uniform_and_recoverable():
    v = torch.arange(256, dtype=torch.uint8)[:, None].expand(256, 20_000)
    images = Images(v.contiguous(), pixels_as="levels")
    x = images.batch(torch.arange(256)).x
    # 5 million draws: without the limit on u, about 20 of them would round up to the next level
    assert torch.equal((x * 256).floor().to(torch.uint8), v)
    assert float(x.max()) < 1
    u = x * 256 - v
    assert abs(float(u.double().mean()) - 0.5) < 4 * (1 / 12 / u.numel()) ** 0.5
    assert not torch.equal(x, images.batch(torch.arange(256)).x)


def test_minibatches_visit_each_image_once_an_epoch_and_resume_anywhere():
    images = Images(torch.arange(10, dtype=torch.uint8)[:, None])
    stream = Minibatches(images, 5, seed=3)
    seen = [next(stream).x for _ in range(6)]
    assert sorted((torch.cat(seen[:2]) * 255).round().flatten().tolist()) == list(range(10))
    other = Minibatches(images, 5, seed=3)
    other.drawn = 4
    assert torch.equal(next(other).x, seen[4])


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("mnist", ["download failed", "train-images-idx3-ubyte", "55 MB"]),
        ("cifar10", ["download failed", "cifar-10-batches-py/data_batch_1", "186 MB"]),
        ("svhn", ["download failed", "test_32x32.mat", "246 MB"]),
        ("imagenet64", ["no automatic download", "imagenet64/val_data.npz", "12 GB", "image-net.org", "licence"]),
        ("celeba", ["download failed", "celeba/img_align_celeba", "list_eval_partition.txt", "mmlab", "1.4 GB"]),
    ],
)
def test_absent_data_without_a_network_say_what_to_do(tmp_path, name, pieces):
    with pytest.raises(NotRunError) as caught:
        datasets.load(name, DEFINITIONS[name], tmp_path, CPU)
    message = str(caught.value)
    for piece in (*pieces, str(tmp_path), "VGB_DATA_ROOT", "quick"):
        assert piece in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x08\x03 cut short"], ids=["empty", "truncated"])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("cifar10", "cifar-10-batches-py/data_batch_3"),
        ("svhn", "train_32x32.mat"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, file, content):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(content)
    expected = DEFINITIONS[name].checksums[file]
    with pytest.raises(SuiteError, match=rf"{file}: \d+ bytes with md5 .* expected {expected}"):
        datasets.load(name, DEFINITIONS[name], tmp_path, CPU)


def test_wrong_shapes_are_refused(tmp_path):
    wrong = DEFINITIONS["digits"].model_copy(update={"x_shape": (1, 9, 9)})
    with pytest.raises(SuiteError, match="expected"):
        datasets.load("digits", wrong, tmp_path, CPU)


def test_four_points():
    x = sources.four_points(DEFINITIONS["4-point"], data_root()).train_x
    assert numpy.array_equal(x.reshape(4, 4), 255 * numpy.eye(4))


@pytest.mark.parametrize(("name", "sizes"), [("patches", (3600, 400, 512)), ("patches-64", (1800, 200, 256))])
def test_patches(tmp_path, name, sizes):
    first = datasets.load(name, DEFINITIONS[name], tmp_path, CPU)
    again = datasets.load(name, DEFINITIONS[name], tmp_path, CPU)
    assert (len(first.train), len(first.validation_x), len(first.test_x)) == sizes
    assert first.x_shape == DEFINITIONS[name].x_shape
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert torch.equal(first.test_x, again.test_x)
    for labels in (first.train.labels, first.test_y):
        assert labels.bincount().shape == (6,)
        assert labels.bincount().min() > len(labels) / 12
    assert first.pixels == "8-bit levels, bins of 1/256"
    levels = first.test_x * 256 - 0.5
    assert torch.equal(levels, levels.round())


@pytest.mark.parametrize("side", [32, 64])
def test_patches_of_different_splits_are_a_patch_apart(side):
    height, width = 427, 640
    rows, columns = numpy.mgrid[:height, :width]
    where = numpy.stack([columns % 256, columns // 256, rows * 3 // height], -1).astype(numpy.uint8)
    seen = {}
    for split, strip in sources.strips(width, side).items():
        x, third = sources.cut(where, strip, side, 400, numpy.random.default_rng(0))
        assert x.shape == (400, 3, side, side)
        assert numpy.array_equal(third, x[:, 2, side // 2, 0])
        column = x[:, 0] + 256 * x[:, 1].astype(int)
        seen[split] = column.min(), column.max()
    assert seen["train"][1] + side < seen["test"][0]
    assert seen["test"][1] + side < seen["validation"][0]


def test_cifar10_in_torchvisions_layout(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    x, y = noise(6, 3, 32, 32), [3, 1, 4, 1, 5, 9]
    for i, (name, _) in enumerate([*CIFAR10.train_list, *CIFAR10.test_list]):
        (folder / name).write_bytes(pickle.dumps({"data": x[i].reshape(1, -1), "labels": [y[i]]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    for key in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, key, [[name, None] for name, _ in getattr(CIFAR10, key)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})
    data = datasets.load("cifar10", without_checksums("cifar10", validation=2), tmp_path, CPU)
    assert numpy.array_equal(data.train.pixels.numpy(), x[2:5])
    assert data.train.labels.tolist() == y[2:5]
    assert torch.equal((data.validation_x * 256).floor(), torch.from_numpy(x[:2]).float())
    assert (data.test_x.shape, data.test_y.tolist()) == ((1, 3, 32, 32), [9])
    assert data.pixels == "8-bit levels, bins of 1/256"


def test_svhn(tmp_path, monkeypatch):
    from torchvision.datasets import SVHN

    urls = {key: [url, file, None] for key, (url, file, _) in SVHN.split_list.items()}
    monkeypatch.setattr(SVHN, "split_list", urls)
    x = noise(32, 32, 3, 4)
    savemat(tmp_path / "train_32x32.mat", {"X": x, "y": numpy.array([[10], [1], [2], [3]])})
    savemat(tmp_path / "test_32x32.mat", {"X": x[..., :2], "y": numpy.array([[10], [9]])})
    data = datasets.load("svhn", without_checksums("svhn", validation=1), tmp_path, CPU)
    assert numpy.array_equal(data.train.pixels.numpy(), x.transpose(3, 2, 0, 1)[1:])
    assert data.train.labels.tolist() == [1, 2, 3]
    assert data.test_y.tolist() == [0, 9]


def write_imagenet64(root):
    (root / "imagenet64").mkdir(parents=True)
    x = {}
    for number, file in enumerate(DEFINITIONS["imagenet64"].files):
        x[file] = noise(2, 3 * 64 * 64)
        numpy.savez(root / file, data=x[file], labels=numpy.array([1, number + 2]))
    return x


def test_imagenet64_is_memory_mapped_where_it_is_large(tmp_path, monkeypatch):
    x = write_imagenet64(tmp_path)
    definition = DEFINITIONS["imagenet64"].model_copy(update={"validation": 3})
    small = datasets.load_arrays("imagenet64", definition, tmp_path)
    assert not isinstance(small.train_x, numpy.memmap)
    monkeypatch.setattr(image_files, "SHARE", 0.0)
    assert isinstance(datasets.load_arrays("imagenet64", definition, tmp_path).train_x, numpy.memmap)
    data = datasets.load("imagenet64", definition, tmp_path, CPU)
    every = numpy.concatenate([x[file] for file in definition.files[:-1]]).reshape(-1, 3, 64, 64)
    assert numpy.array_equal(data.train.pixels.numpy(), every[3:])
    assert data.train.labels.tolist()[-1] == 10  # labels count from 1 in the files
    assert data.test_y.tolist() == [0, 11]
    # the tensor's memory is the mapped file itself
    address = data.train.pixels.data_ptr()
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    inside = [m[-1] for m in maps if int(m[0].split("-")[0], 16) <= address < int(m[0].split("-")[1], 16)]
    assert inside[0].endswith("train_x.npy")
    assert data.train.batch(torch.tensor([0])).x.shape == (1, 3, 64, 64)


def test_a_truncated_npz_is_one_line(tmp_path):
    write_imagenet64(tmp_path)
    file = tmp_path / "imagenet64" / "val_data.npz"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(SuiteError, match="imagenet64: cannot be read from"):
        datasets.load("imagenet64", DEFINITIONS["imagenet64"], tmp_path, CPU)


def test_labels_without_images_are_one_line(tmp_path):
    write_imagenet64(tmp_path)
    numpy.savez(tmp_path / "imagenet64" / "val_data.npz", data=noise(2, 3 * 64 * 64), labels=numpy.array([1, 2, 3]))
    with pytest.raises(SuiteError, match="2 images but 3 labels for the test split"):
        datasets.load("imagenet64", DEFINITIONS["imagenet64"], tmp_path, CPU)


def test_celeba_is_split_as_published_and_cropped(tmp_path):
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    splits = [0, 1, 2, 0]
    for i, _ in enumerate(splits):
        face = numpy.full((218, 178, 3), 255, numpy.uint8)
        face[39:179, 19:159] = 10 * (i + 1)  # only what lies inside the central 140x140
        Image.fromarray(face).save(folder / f"{i:06}.png")
    lines = (f"{i:06}.png {split}\n" for i, split in enumerate(splits))
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("".join(lines))
    data = datasets.load("celeba", without_checksums("celeba", validation=1), tmp_path, CPU)
    assert data.x_shape == (3, 64, 64)
    assert (data.validation_x * 256).floor().unique().tolist() == [20]
    assert [x.unique().tolist() for x in data.train.pixels] == [[10], [40]]
    assert (data.test_x * 256).floor().unique().tolist() == [30]


def test_the_list_of_datasets_says_what_is_here(tmp_path, capsys):
    (tmp_path / "cifar10-jpeg.zip").touch()
    assert main(["data", "--data-root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for line in ("patches: embedded", "patches-64: embedded", "cifar10: JPEG copy", "cifar10-jpeg: present"):
        assert line in said
    for name in ("mnist-grey", "svhn", "imagenet64", "celeba"):
        assert f"{name}: absent" in said
    assert main(["data", "patches"]) == 0
    assert "4,000 + 512 images of shape (3, 32, 32)" in capsys.readouterr().out
    assert main(["data", "cifar"]) == 2
