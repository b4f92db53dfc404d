"""`status` and `doctor` in words; and that looking loads no torch and takes no time."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cli import inventory
from benchmarks.cli.main import main
from benchmarks.hardware import host
from benchmarks.plan.staleness import Freshness
from benchmarks.plan.suite import Suite
from benchmarks.store.records import RunRecord, write


@pytest.mark.parametrize("profile", ["quick", "paper"])
@pytest.mark.parametrize("command", ["check", "list", "status", "plan", "doctor"])
def test_looking_loads_no_torch_and_is_quick(command, profile, tmp_path):
    code = (
        "import sys; from benchmarks.cli.main import main; main(sys.argv[1:]); sys.exit(100 * ('torch' in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [sys.executable, "-c", code, command, "--profile", profile]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # not the clock's time: other tests may run beside
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4


def test_status_counts_cells_and_names_causes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["status", "--profile", "smoke", "--only", "avb-table-1"]) == 0
    said = capsys.readouterr().out
    assert "vae-4-point: 8 missing\n  missing: not trained" in said
    assert "profile smoke: 18 cells: 18 missing" in said
    assert main(["status", "--profile", "smoke", "--only", "avb-table-1", "--all"]) == 0
    assert "vae-4-point seed 0 elbo: missing: not trained" in capsys.readouterr().out
    folder = Path("results/smoke/vae-4-point/seed0")
    job = Suite("smoke").jobs["vae-4-point/seed0"]
    failed = RunRecord(
        run=job.run, seed=0, profile="smoke", status="failed", reason="loss of player model is nan",
        specification=job.specification, dataset="4-point",
    )  # fmt: skip
    write(folder / "run.json", failed)
    state = Freshness(Suite("smoke", None, ["avb-table-1"])).jobs["vae-4-point/seed0"]
    assert {(cell.state, cell.why) for cell in state.cells} == {("failed", "training: loss of player model is nan")}
    assert state.train
    assert state.evaluate


def test_the_doctor_says_who_holds_a_folder_and_what_is_missing(tmp_path, monkeypatch, capsys):
    import fcntl

    monkeypatch.chdir(tmp_path)
    lock = tmp_path / "results/quick/vae-4-point/seed0/.lock"
    lock.parent.mkdir(parents=True)
    with open(lock, "w") as file:
        assert inventory.locks()[0].line == "locks: no folder of results is in use"
        fcntl.flock(file, fcntl.LOCK_EX)
        assert inventory.locks()[0].line == f"in use: results/quick/vae-4-point/seed0 by process {os.getpid()}"
    assert main(["doctor", "--data-root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for line in ("packages: ", "GPU: ", "free disk here: ", "imagenet64: absent (about 12 GB)", "6726825d..."):
        assert line in said
    assert said.endswith("profile quick can run here\n")
    monkeypatch.setattr(inventory, "installed", lambda name: None if name == "scipy" else "1.0")
    assert main(["doctor", "--data-root", str(tmp_path)]) == 1
    assert "scipy ABSENT" in capsys.readouterr().out


def test_gpus_are_named_by_the_driver_or_by_nvidia_smi(tmp_path, monkeypatch):
    card = tmp_path / "gpus" / "0000:04:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 24\n")
    assert host.gpu_names(tmp_path / "gpus") == ["NVIDIA H200"]
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho NVIDIA A\necho NVIDIA B\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert host.gpu_names(tmp_path) == ["NVIDIA A", "NVIDIA B"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert host.gpu_names(tmp_path) == []
