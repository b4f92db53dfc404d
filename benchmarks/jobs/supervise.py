"""A job of the DAG in a process of its own: however that ends, its record is left, so that the report comes.

`python -m benchmarks supervise OUTPUT --attempt K -- COMMAND...` runs `python -m benchmarks COMMAND...`. A job
that was killed is tried again by Snakemake, with more memory, where it stopped; of the last of ATTEMPTS, and of a job
that ends of itself without writing its OUTPUT, COMMAND with `--failed REASON` writes the record.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from benchmarks.hardware import import_server

ATTEMPTS = 4  # at a job that is killed
STOPPED = 130  # the exit status of a job that was asked to stop and can continue


def plain(command: list[str], heed: Callable[[Callable[[int], None]], None]) -> int:
    """The exit status of `python -m benchmarks COMMAND` as a process of its own (-n: ended by signal n)."""
    job = subprocess.Popen([sys.executable, "-m", "benchmarks", *command])
    heed(job.send_signal)
    return job.wait()


def state(path: Path) -> tuple[int, int] | None:
    """What changes when the file is written anew; None where there is none."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def last_line() -> str:
    """The last line of the job's log, where standard error is a file."""
    try:
        with open(f"/proc/{os.getpid()}/fd/2", "rb") as log:
            log.seek(max(0, os.fstat(2).st_size - 2000))
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f": {lines[-1]}" if lines else ""


def reason_of(status: int) -> str:
    """Why a job left no record, in words."""
    if status == -signal.SIGKILL:
        return "killed by signal 9: out of memory?"
    if status == STOPPED:
        return f"was asked to stop by a signal, in {ATTEMPTS} attempts"
    if status < 0:
        return f"ended by signal {-status} ({signal.strsignal(-status)})"
    return f"ended with status {status} and no record{last_line()}"


def main(arguments: list[str]) -> int:
    """Exit status 0 once there is a record.

    Another where the job is to be tried again (128 + n: signal n ended it), or this process was asked to stop (130).
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks supervise", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--attempt", type=int, default=ATTEMPTS, help=f"1 to {ATTEMPTS}, the last")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args(arguments)
    stopped = []

    def heed(tell: Callable[[int], None]) -> None:
        """Pass on to the job the signals that this process gets."""

        def handle(number: int, frame: FrameType | None) -> None:
            stopped.append(number)
            tell(number)

        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, handle)

    before = state(asked.output)
    status = import_server.run(asked.command, heed)
    if status is None:
        status = plain(asked.command, heed)
    if state(asked.output) not in (None, before):
        return 0
    if stopped or ((status == STOPPED or status < 0) and asked.attempt < ATTEMPTS):
        return 128 - status if status < 0 else STOPPED
    reason = reason_of(status)
    print(reason, file=sys.stderr)
    return plain([*asked.command, "--failed", reason], heed)
