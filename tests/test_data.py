"""Datasets: splits, frozen bits, and clear words when files are absent, truncated or empty."""

import numpy
import pytest
import torch

from benchmarks import datasets
from benchmarks.config import Dataset, load_file
from benchmarks.errors import NotRunError, SuiteError
from methods.data import Images, Minibatches

DEFINITIONS = load_file("datasets.yml", Dataset)
CPU = torch.device("cpu")


def test_digits_are_split_and_test_bits_are_frozen(tmp_path):
    first = datasets.load("digits", DEFINITIONS["digits"], tmp_path, CPU)
    again = datasets.load("digits", DEFINITIONS["digits"], tmp_path, CPU)
    assert (len(first.train), len(first.validation_x), len(first.test_x)) == (1300, 137, 360)
    assert torch.equal(first.test_x, again.test_x)
    assert set(first.test_x.unique().tolist()) == {0.0, 1.0}
    train = {bytes(x.numpy().tobytes()) for x in first.train.pixels}
    grey = datasets.digits(tmp_path)[2]
    # a few of the 1,797 scans are pixel-identical; beyond those, no test image was trained on
    assert sum(bytes(x.tobytes()) in train for x in grey) <= 2


def test_training_bits_are_drawn_anew():
    images = Images(torch.full((4, 1, 2, 2), 128, dtype=torch.uint8), binarise=True)
    index = torch.zeros(4000, dtype=torch.long)
    a, b = images.batch(index).x, images.batch(index).x
    assert not torch.equal(a, b)
    assert abs(float(a.mean()) - 128 / 255) < 4 * 0.5 / 16000**0.5


def test_minibatches_visit_each_image_once_an_epoch_and_resume_anywhere():
    images = Images(torch.arange(10, dtype=torch.uint8)[:, None])
    stream = Minibatches(images, 5, seed=3)
    seen = [next(stream).x for _ in range(6)]
    assert sorted((torch.cat(seen[:2]) * 255).round().flatten().tolist()) == list(range(10))
    other = Minibatches(images, 5, seed=3)
    other.drawn = 4
    assert torch.equal(next(other).x, seen[4])


def test_absent_data_without_a_network_say_what_to_do(tmp_path, monkeypatch):
    import torchvision

    def fail(*args, **kwargs):
        raise RuntimeError("Error downloading")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", fail)
    with pytest.raises(NotRunError) as caught:
        datasets.load("mnist", DEFINITIONS["mnist"], tmp_path, CPU)
    message = str(caught.value)
    for piece in (str(tmp_path), "download failed", "train-images-idx3-ubyte", "VGB_DATA_ROOT", "55 MB", "quick"):
        assert piece in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x08\x03 cut short"], ids=["empty", "truncated"])
def test_damaged_files_are_named(tmp_path, content):
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(SuiteError, match=r"train-images-idx3-ubyte: \d+ bytes with md5 .* expected 6bbc9ace"):
        datasets.load("mnist", DEFINITIONS["mnist"], tmp_path, CPU)


def test_wrong_shapes_are_refused(tmp_path):
    wrong = DEFINITIONS["digits"].model_copy(update={"x_shape": (1, 9, 9)})
    with pytest.raises(SuiteError, match="expected"):
        datasets.load("digits", wrong, tmp_path, CPU)


def test_four_points():
    x, _, _, _ = datasets.four_points(datasets.data_root())
    assert numpy.array_equal(x.reshape(4, 4), 255 * numpy.eye(4))
