"""What the commands share: options of every command line, the suite that they describe, locks and threads."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.plan.suite import Suite

Command = Callable[[argparse.Namespace], int]
Add = Callable[[Command], argparse.ArgumentParser]
FAILED = "only write the record of a job that ended so without one"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a second process waits and says for whom."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            print(f"{folder} is in use by process {file.read().strip() or '?'}: waiting", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        for left in folder.rglob(".tmp-*"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def tune_process(threads: int) -> None:
    """Tell the numerical libraries how many cores the job has, and glibc to keep the memory of freed tensors.

    By default glibc returns each large block to the kernel at once, and a quarter of a small network's training
    step goes into page faults.
    """
    import ctypes

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    import torch

    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent outside glibc
    if mallopt is not None:
        for parameter, value in ((-1, 1 << 30), (-2, 64 << 20), (-3, 32 << 20)):  # trim and mmap thresholds, top pad
            mallopt(parameter, value)


def split(names: list[str] | None) -> list[str]:
    """Names apart by spaces, or by commas as in Snakemake's `only=a,b`."""
    return [name for part in names or () for name in part.replace(",", " ").split()]


def suite_of(arguments: argparse.Namespace) -> Suite:
    """The suite that the common options describe."""
    runs = Path(arguments.runs) if arguments.runs else None
    return Suite(arguments.profile, runs, split(arguments.only), split(arguments.compare))


def job_folder(arguments: argparse.Namespace) -> Path:
    """results/<profile>/<run>/seed<k>."""
    return Path("results") / arguments.profile / arguments.run / f"seed{arguments.seed}"
