"""A damaged file is never taken for a whole one: what is read equals what was written, or is an error with its name."""

import json
import os

import numpy
import pandas
import pytest
import torch
from PIL import Image

from benchmarks.config.models import dataset_named
from benchmarks.data.datasets import load_arrays
from benchmarks.errors import SuiteError
from benchmarks.jobs import training
from benchmarks.store.records import Evaluation, MetricFile, Result, read, write, write_json
from methods.training.atomic_files import (
    DamagedError,
    WriteError,
    file_sum,
    read_arrays,
    read_frame,
    replacing,
    write_arrays,
    write_frame,
)
from methods.training.checkpoint import read_tensors, write_tensors
from tests.helpers.small import SUITE

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor(True),
    "c": torch.zeros(0),
    "d": torch.ones(3).bfloat16(),
}
FRAME = pandas.DataFrame({"x": [1.5, float("nan"), 0.1 + 0.2], "y": ["a", None, "c,d"], "z": [True, False, True]})
ARRAYS = {"x": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "empty": numpy.zeros((0, 2)), "one": numpy.array(5)}
RECORD = MetricFile(key="k", results=[Result(metric="elbo", status="ok", value=-1.25e-17, n=3, details={"a": 1.0})])


def plain_tensors(path):
    tensors, metadata = read_tensors(path)
    return metadata, {n: (t.dtype, t.shape, t.reshape(-1).view(torch.uint8).tolist()) for n, t in tensors.items()}


def plain_arrays(path):
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in read_arrays(path).items()}


KINDS = {
    "safetensors": (lambda path: write_tensors(path, TENSORS, {"step": 3}), plain_tensors),
    "npz": (lambda path: write_arrays(path, ARRAYS), plain_arrays),
    "parquet": (lambda path: write_frame(path, FRAME), lambda path: read_frame(path).to_csv()),
    "json": (lambda path: write(path, RECORD), lambda path: read(path, MetricFile)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_byte_and_every_cut_is_noticed(tmp_path, kind):
    write_it, read_it = KINDS[kind]
    path = tmp_path / f"file.{kind}"
    write_it(path)
    whole, content = read_it(path), path.read_bytes()
    lines = []
    every = max(1, len(content) // 400)
    spoilt = [
        content[:k] + bytes([content[k] ^ (1 << k % 8)]) + content[k + 1 :] for k in range(0, len(content), every)
    ]
    for damaged in [*spoilt, *(content[:k] for k in range(0, len(content), 4 * every))]:
        path.write_bytes(damaged)
        try:
            assert read_it(path) == whole
        except DamagedError as error:
            lines.append(str(error))
    assert len(lines) > 0.6 * len(spoilt)  # the others are in padding, layout or what a format stores twice
    assert all(line.startswith(f"{path}: damaged (") and "\n" not in line for line in lines)


def test_files_without_a_sum_are_read(tmp_path):
    write(tmp_path / "old.json", RECORD)
    content = json.loads((tmp_path / "old.json").read_text())
    del content["sha256"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    assert read(tmp_path / "old.json", MetricFile) == RECORD
    numpy.savez(tmp_path / "old.npz", **ARRAYS)
    assert plain_arrays(tmp_path / "old.npz").keys() == ARRAYS.keys()
    FRAME.to_parquet(tmp_path / "old.parquet")
    assert read_frame(tmp_path / "old.parquet").equals(FRAME)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match=r"file: cannot be written \(No space left on device\); make room"):
        write_half()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file", "old")]


def test_a_file_is_summed_again_when_it_changes(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    first = file_sum(path)
    path.write_text("another")
    assert file_sum(path) != first


def test_damaged_decoded_images_are_decoded_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VGB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine").mkdir()
    for k in range(4):
        Image.new("L", (4, 4), 60 * k).save(tmp_path / "mine" / f"{k}.png")
    name = f"folder:{tmp_path / 'mine'}"
    first = load_arrays(name, dataset_named("", name, {}), tmp_path)
    stored = next((tmp_path / "cache").glob("*/train_x.npy"))
    content, state = bytearray(stored.read_bytes()), stored.stat()
    content[-1] ^= 1
    stored.write_bytes(content)
    os.utime(stored, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    again = load_arrays(name, dataset_named("", name, {}), tmp_path)
    assert (again.train_x == first.train_x).all()
    assert capsys.readouterr().err.count("decoding the images again") == 1


def train(folder, **changes):
    """One training of a few rounds."""
    specification = {**SUITE.specification("vae-4-point"), **changes}
    return training.train(specification, 0, "smoke", folder, root=folder, device_name="cpu", code={"a": "b"})


def test_a_finished_training_whose_record_was_deleted_is_not_repeated(tmp_path):
    first = train(tmp_path)
    written = (tmp_path / "weights.safetensors").stat().st_mtime_ns
    (tmp_path / "run.json").unlink()  # as Snakemake does when the call is killed while metrics are computed
    assert train(tmp_path).model_dump_json() == first.model_dump_json()
    assert (tmp_path / "weights.safetensors").stat().st_mtime_ns == written
    content = bytearray((tmp_path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(SuiteError, match=r"weights\.safetensors: missing or not the file .* trains again"):
        training.load_trained(first, tmp_path, tmp_path, torch.device("cpu"))
    assert train(tmp_path).weights_sha256 == first.weights_sha256
    assert (tmp_path / "weights.safetensors").stat().st_mtime_ns > written


def test_other_data_or_another_specification_are_another_training(tmp_path, monkeypatch):
    first = train(tmp_path)
    assert train(tmp_path, latent_dim=3).identity != first.identity
    monkeypatch.setattr(training, "data_of", lambda dataset, root: "others")  # as when real data replace a substitute
    assert train(tmp_path).identity != first.identity


def test_a_record_of_another_version_is_not_called_damaged(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"run": "a", "seed": 0, "metrics": {}, "new_key": 1})
    with pytest.raises(DamagedError, match=r"x.json: written by another version of the suite \(new_key: ") as error:
        read(path, Evaluation)
    assert "delete" not in str(error.value)
    assert "damaged" not in str(error.value)
