"""`train --again`: a finished training once more, elsewhere, and how the two differ; a finished one is left alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cli.main import main
from benchmarks.plan.staleness import Freshness
from benchmarks.plan.suite import Suite
from benchmarks.store.records import MetricFile, RunRecord, read, write
from methods.training.atomic_files import file_sum
from methods.training.checkpoint import read_tensors, write_tensors

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ["train", "vae-4-point", "--profile", "smoke"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A finished and evaluated training in the current folder."""
    monkeypatch.chdir(tmp_path)
    assert main(TRAIN) == 0
    return tmp_path / "results/smoke/vae-4-point/seed0"


def state(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_training_what_is_trained_says_that_it_does_nothing(folder, capsys):
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    assert main(TRAIN) == 0
    assert "vae-4-point seed 0: trained already, nothing to do (--again compares)" in capsys.readouterr().err
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before


def test_again_is_bitwise_equal_and_changes_nothing(folder, capsys):
    before = state(folder)
    assert main([*TRAIN, "--again"]) == 0
    assert "vae-4-point seed 0: weights are bitwise equal" in capsys.readouterr().out
    assert state(folder) == before


def test_again_says_by_how_much_weights_and_metrics_differ(folder, capsys):
    weights = folder / "weights.safetensors"
    tensors, metadata = read_tensors(weights)
    name = next(iter(tensors))
    tensors[name] = tensors[name] + 0.25
    write_tensors(weights, tensors, metadata)
    for file in ("run.json", "trained.json"):  # the records of such weights
        write(folder / file, read(folder / file, RunRecord).model_copy(update={"weights_sha256": file_sum(weights)}))
    elbo = read(folder / "elbo.json", MetricFile)
    elbo.results[-1].value += 1.0
    write(folder / "elbo.json", elbo)
    before = state(folder)
    assert main([*TRAIN, "--again"]) == 1
    said = capsys.readouterr().out
    assert f"{name}: differs by 0.25 at most" in said
    assert "elbo: " in said
    assert "difference -1" in said
    assert "1 tensors of the weights differ" in said
    assert state(folder) == before


def test_again_without_a_finished_training_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN, "--again"]) == 2
    assert "run.json: missing" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_device_that_is_not_there_touches_nothing(folder, monkeypatch, capsys, command, device):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (folder / "elbo.json").unlink()
    before = state(folder)
    assert main([command, "vae-4-point", "--profile", "smoke", "--device", device]) == 2
    assert f"device {device}: no NVIDIA GPU is visible here; use auto or cpu" in capsys.readouterr().err
    assert state(folder) == before
    assert Freshness(Suite("smoke", None, ["vae-4-point"])).jobs["vae-4-point/seed0"].train == ""


def test_snakemake_ends_before_the_dag_without_the_device_that_is_asked_for(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VGB_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: device cuda: no NVIDIA GPU is visible here" in done.stderr
    assert not (tmp_path / "results").exists()
