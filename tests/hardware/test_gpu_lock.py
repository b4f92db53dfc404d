"""Leases of GPUs between real processes with real locks; only the list of cards is made up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.errors import SuiteError
from benchmarks.hardware import gpu_lease

ROOT = Path(__file__).resolve().parents[2]
CARDS = ["GPU-a", "GPU-b"]
HOLD = (
    "import os, sys; from benchmarks.hardware.gpu_lease import lease\n"
    f"with lease(sys.argv[1], {CARDS}) as device:\n"
    "    print(device, os.environ['CUDA_VISIBLE_DEVICES'], flush=True); sys.stdin.read()"
)


@pytest.fixture
def start(tmp_path):
    """Start a process that holds a lease until its input ends; all are killed at the end."""
    started = []

    def run(device="auto", code=HOLD, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CUDA_", "SLURM_", "VGB_"))}
        environment = {**clean, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), **environment}
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", code, device]
        process = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def test_each_process_has_a_card_of_its_own_and_kill_9_frees_it(start):
    holders = [start(), start()]
    held = [process.stdout.readline() for process in holders]
    assert sorted(held) == ["auto GPU-a\n", "auto GPU-b\n"]
    third = start()
    pids = ", ".join(sorted(str(process.pid) for process in holders))
    assert third.stderr.readline() == f"every GPU is in use, by process {pids}: waiting\n"
    holders[1].kill()
    assert third.stdout.readline() == held[1]


def test_small_jobs_may_share_and_spread_over_the_cards_first(start):
    shared = {"VGB_JOBS_PER_GPU": "2"}
    lines = [start(**shared).stdout.readline().split()[1] for _ in range(4)]
    assert sorted(lines[:2]) == sorted(lines[2:]) == CARDS
    assert "waiting" in start(**shared).stderr.readline()


def test_a_numbered_card_is_waited_for_while_others_are_free(start):
    first = start("cuda:1")
    assert first.stdout.readline() == "cuda GPU-b\n"
    second = start("cuda:1")
    assert str(first.pid) in second.stderr.readline()
    first.stdin.close()
    assert second.stdout.readline() == "cuda GPU-b\n"


def test_cards_that_slurm_gave_are_leased_within_its_job_only(start):
    given = {"CUDA_VISIBLE_DEVICES": "0"}
    assert start(SLURM_JOB_ID="7", **given).stdout.readline() == "auto 0\n"
    assert start(SLURM_JOB_ID="8", **given).stdout.readline() == "auto 0\n"
    assert "waiting" in start(SLURM_JOB_ID="7", **given).stderr.readline()


def test_training_waits_for_its_card(start):
    holders = [start("cuda:0"), start("cuda:1")]
    for process in holders:
        process.stdout.readline()
    code = (
        "import sys; from benchmarks.cli import main as cli; from benchmarks.hardware import gpu_lease\n"
        f"gpu_lease.cards = lambda: {CARDS}\n"
        "sys.exit(cli.main(['train', 'vae-4-point', '--profile', 'smoke', '--device', sys.argv[1]]))"
    )
    training = start("auto", code)
    assert training.stderr.readline().startswith("every GPU is in use")
    holders[0].stdin.close()
    assert training.wait(120) == 0
    assert "vae-4-point seed 0: ok" in training.stderr.read()


@pytest.mark.parametrize(
    ("setting", "seen"),
    [
        (None, {"GPU-a": "GPU-a", "GPU-b": "GPU-b"}),
        ("1", {"1": "GPU-b"}),
        ("GPU-b,0", {"GPU-b": "GPU-b", "0": "GPU-a"}),
        ("MIG-x", {"MIG-x": "MIG-x"}),
        ("0,-1,1", {"0": "GPU-a"}),
        ("2,0", {}),
        ("", {}),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(setting, seen):
    assert gpu_lease.visible(CARDS, setting) == seen


def test_what_cannot_be_is_one_error(monkeypatch):
    with pytest.raises(SuiteError, match=r"device cuda:2: this process sees 2 GPU\(s\); use cuda:0, cuda:1,"):
        gpu_lease.chosen("cuda:2", dict(zip(CARDS, CARDS, strict=True)))
    monkeypatch.setenv("VGB_JOBS_PER_GPU", "0")
    with pytest.raises(SuiteError, match="VGB_JOBS_PER_GPU is '0'"):
        gpu_lease.jobs_per_gpu()
    with gpu_lease.lease("cuda:2", []) as device:  # no card at all: torch's own error says so
        assert device == "cuda:2"
    assert gpu_lease.chosen("cpu", {"0": "0"}) == {}


def test_cards_are_uuids_or_the_numbers_of_device_files(monkeypatch, tmp_path):
    devices, programs = tmp_path / "dev", tmp_path / "bin"
    devices.mkdir()
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert gpu_lease.cards(devices) == []
    for name in ("nvidia0", "nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (devices / name).touch()
    assert gpu_lease.cards(devices) == ["0", "2", "10"]
    for answer, expected in (("GPU-x\nGPU-y", ["GPU-x", "GPU-y"]), ("No devices were found", ["0", "2", "10"])):
        (programs / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{answer}\\n'\n")
        (programs / "nvidia-smi").chmod(0o755)
        assert gpu_lease.cards(devices) == expected


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_lock_folder_of_another_user_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_lease.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    other = tmp_path / "vgbench-gpus-0-9"
    other.symlink_to(tmp_path)
    os.chown(other, 1, 1, follow_symlinks=False)
    with pytest.raises(SuiteError, match="another user"):
        gpu_lease.lock_folder()
