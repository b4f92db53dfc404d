"""One process that has imported PyTorch, from which the local jobs of one Snakemake call are forked.

Importing PyTorch, the compiler that its optimisers pull in and scikit-learn takes five seconds, a third of a quick
job. Each job stays a process of its own, with its own record, lock and checkpoint: what is shared is the import only.
The Snakefile offers it (`offer`); without VGB_WARM a command runs as it always does.
"""

import errno
import hashlib
import importlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

SIGNALS = (signal.SIGTERM, signal.SIGINT)
START_SECONDS = 60.0
HELLO = b"+"
PRELOADED = (
    *("torch", "torch._dynamo", "torchvision", "safetensors.torch"),
    *("numpy", "pandas", "scipy.stats", "sklearn.datasets", "sklearn.neighbors"),
    *("benchmarks.cli", "benchmarks.jobs.evaluate"),
)


def offer(folder: Path) -> None:
    """Let the jobs of this process share a server, whose socket will lie in `folder`."""
    os.environ["VGB_WARM"] = f"{folder}:{os.getpid()}"


def address(folder: str) -> str:
    """The socket of this environment's server: another environment has other packages."""
    return str(Path(folder) / f"warm-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:8]}")


def run_command(argv: list[str]) -> int:
    """The command line's exit status, as `python -m benchmarks` would end."""
    from benchmarks.cli import main

    try:
        return main(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def obey(connection: socket.socket) -> None:
    """Pass on the signals that the client gets; a client that is gone asks its job to stop."""
    while True:
        received = connection.recv(1)
        os.kill(os.getpid(), received[0] if received else signal.SIGTERM)
        if not received:
            return


class Job(socketserver.BaseRequestHandler):
    """One command, in the forked child: directory, environment and streams are the client's."""

    def handle(self) -> None:
        """Greet, run the command and send its exit status."""
        self.request.sendall(HELLO)
        for kind in SIGNALS:
            signal.signal(kind, signal.default_int_handler if kind == signal.SIGINT else signal.SIG_DFL)
        text, streams, _, _ = socket.recv_fds(self.request, 1 << 20, 2)
        for stream, number in zip(streams, (1, 2), strict=True):
            os.dup2(stream, number)
            os.close(stream)
        asked = json.loads(text)
        os.chdir(asked["directory"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.path[:] = asked["path"]
        threading.Thread(target=obey, args=(self.request,), daemon=True).start()
        self.request.sendall(bytes([run_command(asked["arguments"]) & 255]))


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks a child for each command; ends with the process that it serves."""

    max_children = 100_000  # Snakemake decides how many jobs run at once
    owner = 0

    def service_actions(self) -> None:
        """Twice a second: collect ended children, and end when the owner is gone."""
        super().service_actions()
        try:
            os.kill(self.owner, 0)
        except ProcessLookupError:
            sys.exit(0)


def serve(path: str, owner: int) -> None:
    """Serve the process `owner` to its end; returns at once if a server is there already."""
    for kind in SIGNALS:
        signal.signal(kind, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the jobs heed it, this one waits for them
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # no threads before a fork
    try:
        server = Server(path, Job)
    except OSError as error:
        sys.exit(error.errno != errno.EADDRINUSE)
    server.owner = owner
    for name in PRELOADED:
        importlib.import_module(name)
    catalogue = importlib.import_module("benchmarks.catalogue")
    for registry in (catalogue.methods, catalogue.metrics):  # parsed once for all jobs
        registry()
    server.serve_forever()


def connect(path: str, owner: int) -> socket.socket | None:
    """A connection, starting the server if there is none; None if it does not come up."""
    deadline = time.monotonic() + START_SECONDS
    started: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
            if connection.recv(1) == HELLO:  # waits until everything is imported
                return connection
        except OSError:
            pass
        connection.close()
        if started is None:
            command = [sys.executable, "-m", "benchmarks.jobs.warm", path, str(owner)]
            null = subprocess.DEVNULL
            started = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
        elif started.poll():
            return None
        time.sleep(0.05)
    return None


def run(folder: str, owner: int, arguments: list[str]) -> int | None:
    """The exit status of `python -m benchmarks ARGUMENTS` run by the server; None if there can be none."""
    connection = connect(address(folder), owner)
    if connection is None:
        return None
    for kind in SIGNALS:
        signal.signal(kind, lambda number, frame: connection.sendall(bytes([number])))
    asked = {
        "directory": os.getcwd(),
        "environment": dict(os.environ),
        "path": sys.path,
        "arguments": arguments,
    }
    socket.send_fds(connection, [json.dumps(asked).encode()], [1, 2])
    status = connection.recv(1)
    return status[0] if status else 128 + signal.SIGKILL


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
