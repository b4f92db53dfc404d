"""The process that shares one import of PyTorch between jobs: each job ends as it would alone."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.jobs import warm

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def environment(tmp_path):
    """An environment whose commands share a server that ends with this test."""
    owner = subprocess.Popen(["sleep", "600"])
    yield {**os.environ, "PYTHONPATH": str(ROOT), "VGB_WARM": f"{tmp_path}:{owner.pid}"}
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.socket(socket.AF_UNIX).connect(warm.address(str(tmp_path)))
        except OSError:
            return
        time.sleep(0.1)
    pytest.fail("the server outlives its owner")


def command(*arguments):
    return [sys.executable, "-m", "benchmarks", *arguments]


def run(environment, folder, *arguments):
    return subprocess.run(command(*arguments), env=environment, cwd=folder, capture_output=True, text=True, timeout=120)


def test_output_status_and_directory_are_those_of_the_command_alone(environment, tmp_path):
    alone = {k: v for k, v in environment.items() if k != "VGB_WARM"}
    for arguments in (("check",), ("check", "--profile", "quik"), ("train",), ("data", "no-such")):
        shared, own = (run(e, tmp_path, *arguments) for e in (environment, alone))
        assert (shared.returncode, shared.stdout, shared.stderr) == (own.returncode, own.stdout, own.stderr)
    assert (tmp_path / Path(warm.address(str(tmp_path))).name).is_socket()


def test_a_job_leaves_its_record_where_the_command_was_given(environment, tmp_path):
    done = run(environment, tmp_path, "train", "vae-4-point", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results/smoke/vae-4-point/seed0/run.json").exists()


@pytest.mark.parametrize(("kind", "status"), [(signal.SIGTERM, 130), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_stopped_command_stops_its_job_which_saves_its_state(environment, tmp_path, kind, status):
    folder = tmp_path / "results/quick/avb-4-point/seed0"
    job = subprocess.Popen(
        command("train", "avb-4-point", "--checkpoint-seconds", "0.2"),
        env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    state = folder / "checkpoint" / "state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    job.send_signal(kind)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == status, errors
    assert state.exists()
    assert not (folder / "run.json").exists()
    with open(folder / ".lock") as lock:  # released once the job is gone
        import fcntl

        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.1)
    pytest.fail("the job goes on")


def test_without_a_server_the_command_runs_by_itself(tmp_path):
    unreachable = {**os.environ, "PYTHONPATH": str(ROOT), "VGB_WARM": f"{tmp_path / ('x' * 200)}:{os.getpid()}"}
    assert run(unreachable, tmp_path, "check").returncode == 0
