"""A process that has imported PyTorch and its like, from which the jobs of one Snakemake call are forked.

These imports take five seconds, a third of a short job. The server imports nothing of this project: each job reads the
project's code itself, as a process of its own would. It is a short cut that nothing depends on: whatever fails before
a job begins, the job runs as a plain process.
"""

import atexit
import fcntl
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import IO

SETTING = "VGB_IMPORT_SERVER"  # the folder of the sockets, in a job's environment
SECONDS = 60.0  # that a job waits for the server, whose imports take a tenth of it
BEGUN = b"+"
SIGNALS = (signal.SIGTERM, signal.SIGINT)
PRELOADED = (
    *("torch", "torch._dynamo", "torchvision", "safetensors.torch", "numpy", "pandas", "pyarrow.parquet"),
    *("scipy.stats", "sklearn.datasets", "sklearn.neighbors", "pydantic", "yaml", "PIL.Image"),
)
_owned: list[IO[str]] = []


def offer() -> None:
    """Let the jobs of this process share servers that end with it; where no folder can be had for them, none is."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="vgb-"))  # of mode 0700: nobody else can connect
        owner = open(folder / "owner", "w", encoding="utf-8")  # noqa: SIM115
        fcntl.flock(owner, fcntl.LOCK_EX)
    except OSError:
        return
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _owned.append(owner)  # locked until this process ends, however it ends
    os.environ[SETTING] = str(folder)


def address(folder: str) -> Path:
    """The socket of the server for this environment's packages."""
    return Path(folder) / sha256(sys.prefix.encode()).hexdigest()[:8]


# The job's side


def run(arguments: list[str], heed: Callable[[Callable[[int], None]], None]) -> int | None:
    """The exit status of `python -m benchmarks ARGUMENTS` as a fork of the server (-n: ended by signal n), or None.

    None: there is no server, or it ended before the job began. `heed` is given what passes on a signal to the job.
    """
    folder = os.environ.get(SETTING)
    if not folder:
        return None
    try:
        connection = connect(folder)
        environment = {name: value for name, value in os.environ.items() if name != SETTING}
        asked = {"directory": os.getcwd(), "environment": environment, "path": sys.path, "arguments": arguments}
        connection.settimeout(SECONDS)
        socket.send_fds(connection, [BEGUN], [1, 2])
        connection.sendall(json.dumps(asked).encode() + b"\n")
        if connection.recv(1) != BEGUN:
            return None
    except OSError:
        return None
    connection.settimeout(None)

    def tell(number: int) -> None:
        with suppress(OSError):  # the job has just ended
            connection.sendall(bytes([number]))

    heed(tell)
    try:
        answer = connection.recv(4)
    except OSError:
        answer = b""
    return struct.unpack("i", answer)[0] if len(answer) == 4 else -signal.SIGKILL


def connect(folder: str) -> socket.socket:
    """A connection to the server, which the first job starts; OSError where there is none or it ended."""
    path = address(folder)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if not path.exists() and not path.with_suffix(".failed").exists():
        start(path)
    connection.connect(str(path))
    return connection


def start(path: Path) -> None:
    """Start a server, unless another job does, and wait for its socket, or for a file that says that it failed."""
    server, failed, null = None, path.with_suffix(".failed"), subprocess.DEVNULL
    with suppress(FileExistsError):
        path.with_suffix(".started").touch(exist_ok=False)
        command = [sys.executable, "-P", __file__, str(path)]
        server = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)
    deadline = time.monotonic() + SECONDS
    while not path.exists() and not failed.exists():
        if time.monotonic() > deadline or (server is not None and server.poll() is not None):
            failed.touch()
        time.sleep(0.02)


# The server's side


def owner_lives(path: Path) -> bool:
    """Whether the process that offered the server still holds its lock."""
    try:
        with open(path.parent / "owner", encoding="utf-8") as owner:
            fcntl.flock(owner, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def serve(path: Path) -> None:
    """Fork a process for each connection, until the owner is gone."""
    for kind in SIGNALS:
        signal.signal(kind, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the jobs heed it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system collects ended children
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # no threads before a fork
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1024)
    for name in PRELOADED:
        importlib.import_module(name)
    while owner_lives(path):
        if select.select([listener], [], [], 1.0)[0]:
            connection = listener.accept()[0]
            if os.fork() == 0:
                listener.close()
                attend(connection)
            connection.close()
    shutil.rmtree(path.parent, ignore_errors=True)


def attend(connection: socket.socket) -> None:
    """Fork a job for this connection, pass on the signals that its client gets, and tell how it ended; then exit."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        _, streams, _, _ = socket.recv_fds(connection, 1, 2)
        asked = json.loads(connection.makefile("rb").readline())
        connection.sendall(BEGUN)
        job = os.fork()
        if job == 0:
            connection.close()
            become(asked, streams)
        threading.Thread(target=obey, args=(connection, job), daemon=True).start()
        status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
        connection.sendall(struct.pack("i", status))
    finally:
        os._exit(0)


def obey(connection: socket.socket, job: int) -> None:
    """Pass on the client's signals; a client that is gone asks its job to stop."""
    while True:
        received = connection.recv(1)
        os.kill(job, received[0] if received else signal.SIGTERM)
        if not received:
            return


def become(asked: dict, streams: list[int]) -> None:
    """Be the job: its directory, environment and streams are the client's."""
    status = 1
    try:
        for kind in SIGNALS:
            signal.signal(kind, signal.default_int_handler if kind == signal.SIGINT else signal.SIG_DFL)
        for stream, number in zip(streams, (1, 2), strict=True):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(asked["directory"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.path[:], sys.argv[1:] = asked["path"], asked["arguments"]
        runpy.run_module("benchmarks", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status & 255)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
