"""The process that shares one import of PyTorch between jobs: each ends as it would alone, nothing depends on it."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.hardware import import_server
from benchmarks.jobs.supervise import ATTEMPTS
from tests.helpers.calls import OWN

ROOT = Path(__file__).resolve().parents[2]
JOB = """
import sys
from benchmarks.jobs.supervise import plain
from benchmarks.hardware import import_server
heed = lambda tell: None
status = import_server.run(sys.argv[1:], heed)
sys.exit(plain(sys.argv[1:], heed) if status is None else status)
"""
HOLDER = """
import os, sys
from benchmarks.hardware import import_server
import_server.offer()
print(os.environ[import_server.SETTING], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def owner():
    """A process that offers a server, as Snakemake does: (process, the folder of the sockets)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()


@pytest.fixture
def environment(owner):
    """An environment whose jobs use the server."""
    return {**os.environ, "PYTHONPATH": str(ROOT), import_server.SETTING: str(owner[1])}


def supervised(output, *command, attempt=ATTEMPTS):
    return [sys.executable, "-m", "benchmarks", "supervise", str(output), "--attempt", str(attempt), "--", *command]


def job(*command):
    return [sys.executable, "-c", JOB, *command]


def run(environment, folder, *arguments):
    return subprocess.run(arguments, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)


def servers(folder):
    """The numbers of the processes that serve this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(b"import_server.py") for word in words) and any(str(folder).encode() in w for w in words):
            found.append(int(path.parent.name))
    return found


def gone(folder, seconds=20):
    """Whether no process serves the folder any more, within so many seconds."""
    deadline = time.monotonic() + seconds
    while servers(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not servers(folder)


def test_a_job_ends_as_it_does_alone(environment, owner, tmp_path):
    alone = {name: value for name, value in environment.items() if name != import_server.SETTING}
    for command in (("check",), ("check", "--profile", "quik"), ("data", "no-such")):
        shared = run(environment, tmp_path, *job(*command))
        own = run(alone, tmp_path, sys.executable, "-m", "benchmarks", *command)
        assert (shared.stdout, shared.stderr) == (own.stdout, own.stderr)
    assert len(servers(owner[1])) == 1
    assert owner[1].stat().st_mode & 0o077 == 0  # nobody else can connect


def test_an_environment_of_any_size_reaches_the_job(environment, tmp_path):
    large = {**environment, "LARGE": "x" * 60_000, "LARGER": "é" * 40_000}
    done = run(large, tmp_path, *job("reference", "no-such", "--profile", "smoke"))
    assert "unknown problem 'no-such'" in done.stderr
    assert run(large, tmp_path, *job("check")).returncode == 0


def test_edited_code_is_what_the_next_job_runs(environment, tmp_path):
    for name in ("benchmarks", "methods"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    there = {**environment, "PYTHONPATH": str(tmp_path)}
    assert "all consistent" in run(there, tmp_path, *job("check")).stdout
    look = tmp_path / "benchmarks" / "cli" / "overview.py"
    look.write_text(look.read_text().replace("all consistent", "as edited"))
    assert "as edited" in run(there, tmp_path, *job("check")).stdout


def refused(folder):
    """Whether connections are refused at once; the threads of a killed process take a moment to end."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        began = time.monotonic()
        try:
            import_server.connect(str(folder))
        except ConnectionRefusedError:
            return time.monotonic() - began < 1
        time.sleep(0.1)
    return False


def test_a_killed_server_costs_a_job_no_time(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = Path(holder.stdout.readline().strip())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), import_server.SETTING: str(folder)}
    try:
        assert run(environment, tmp_path, *job("check")).returncode == 0
        (number,) = servers(folder)
        os.kill(number, signal.SIGKILL)
        assert refused(folder)
        assert run(environment, tmp_path, *job("check")).returncode == 0
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("reaped", [True, False])
def test_a_server_ends_with_its_owner_even_where_nobody_collects_it(tmp_path, reaped):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = Path(holder.stdout.readline().strip())
    import_server.start(folder / "server")
    assert servers(folder)
    holder.kill()
    if reaped:
        holder.wait()
    assert gone(folder)
    holder.wait()


def test_no_other_user_may_connect(owner, environment, tmp_path):
    if os.getuid():
        pytest.skip("needs root, to become another user")
    run(environment, tmp_path, *job("check"))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(65534)
            socket.socket(socket.AF_UNIX).connect(str(import_server.address(str(owner[1]))))
        except PermissionError:
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_without_a_server_the_job_is_a_plain_process(environment, tmp_path):
    for setting in ("", str(tmp_path / ("x" * 200)), str(tmp_path / "absent")):
        there = {**environment, import_server.SETTING: setting}
        assert run(there, tmp_path, *job("check")).returncode == 0


@pytest.mark.parametrize(
    ("kind", "status", "shared"),
    [(signal.SIGTERM, 130, True), (signal.SIGINT, 130, False), (signal.SIGKILL, -9, True)],
)
def test_a_stopped_job_saves_its_state_and_leaves_no_record(environment, tmp_path, kind, status, shared):
    if not shared:
        environment = {**environment, import_server.SETTING: ""}
    folder = tmp_path / "results/quick/avb-4-point/seed0"
    command = supervised(folder / "run.json", "train", "avb-4-point", "--checkpoint-seconds", "0.2")
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    state = folder / "checkpoint" / "state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(kind)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert state.exists()
    assert not (folder / "run.json").exists()
    with open(folder / ".lock") as lock:  # released once the job is gone
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.1)
    pytest.fail("the job goes on")


@pytest.mark.parametrize(("attempt", "status", "recorded"), [(1, 130, False), (ATTEMPTS, 0, True)])
def test_a_job_that_stops_itself_leaves_a_record_at_the_last_attempt(environment, tmp_path, attempt, status, recorded):
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "mine.yml").write_text("mine: {method: mine.py:Stop, like: vae-4-point}\n")
    output = tmp_path / "results/smoke/mine/seed0/run.json"
    command = supervised(output, "train", "mine", "--profile", "smoke", "--runs", "mine.yml", attempt=attempt)
    assert run(environment, tmp_path, *command).returncode == status
    assert output.exists() is recorded
    if recorded:
        assert '"reason": "was asked to stop by a signal' in output.read_text()
