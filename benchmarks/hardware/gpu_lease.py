"""A job leases the GPU that it uses: jobs on one machine share a card only where VGB_JOBS_PER_GPU allows it.

A lease is a lock on a file, which the system drops however its holder ends. Imports no torch: a process sees the cards
that CUDA_VISIBLE_DEVICES named when it first called CUDA, and here that is set.
"""

import fcntl
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from benchmarks.errors import SuiteError

POLL_SECONDS = 0.5
OTHER_DRIVERS = ("/dev/dxg", "/dev/kfd")  # of Windows and of AMD: only PyTorch knows what it sees by them


def cards(devices: Path = Path("/dev")) -> list[str]:
    """The cards of this machine by index: their UUIDs, or without nvidia-smi the numbers of their device files."""
    numbers = [file.name.removeprefix("nvidia") for file in devices.glob("nvidia[0-9]*")]
    if not numbers:
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        answer = ""
    return [line for line in answer.splitlines() if line.startswith("GPU-")] or sorted(numbers, key=int)


def visible(known: list[str], setting: str | None) -> dict[str, str]:
    """What CUDA_VISIBLE_DEVICES = `setting` shows of the known cards: entry -> card; a wrong entry ends it."""
    if setting is None:
        return {card: card for card in known}
    found = {}
    for entry in setting.split(","):
        if entry.isdigit() and int(entry) < len(known):
            found[entry] = known[int(entry)]
        elif entry.startswith(("GPU-", "MIG-")):
            found[entry] = entry
        else:
            break
    return found


def chosen(device: str, seen: dict[str, str]) -> dict[str, str]:
    """Those that `device` may be: none for the CPU, one for cuda:N, else all; SuiteError without an N-th."""
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cuda") or not seen:
        return {}
    if not number:
        return seen
    if not number.isdigit() or int(number) >= len(seen):
        accepted = ", ".join(f"cuda:{n}" for n in range(len(seen)))
        raise SuiteError(f"device {device}: this process sees {len(seen)} GPU(s); use {accepted}, cuda or cpu")
    return dict([list(seen.items())[int(number)]])


def check_device(device: str) -> None:
    """SuiteError for a device that cannot be, or a GPU that this process cannot see: before anything is touched."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise SuiteError(f"--device (or VGB_DEVICE) is {device!r}; use auto, cpu, cuda or cuda:N")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    if device.startswith("cuda") and (hidden or not any(Path(file).exists() for file in OTHER_DRIVERS)):
        seen = visible(cards(), os.environ.get("CUDA_VISIBLE_DEVICES"))
        if not seen:
            raise SuiteError(f"device {device}: no NVIDIA GPU is visible here; use auto or cpu (VGB_DEVICE, --device)")
        chosen(device, seen)


def jobs_per_gpu() -> int:
    """How many jobs may share a card: VGB_JOBS_PER_GPU, else one; SuiteError if it is no such number."""
    setting = os.environ.get("VGB_JOBS_PER_GPU") or "1"
    if not setting.isdigit() or int(setting) < 1:
        raise SuiteError(f"VGB_JOBS_PER_GPU is {setting!r}: expected a whole number from 1")
    return int(setting)


def lock_folder() -> Path:
    """Where this user's locks lie; Slurm gives each of its jobs other cards, under numbers of their own.

    Made if absent; SuiteError if it is another user's, who could point its files anywhere.
    """
    parts = ["vgbench-gpus", str(os.getuid()), *filter(None, [os.environ.get("SLURM_JOB_ID")])]
    folder = Path(tempfile.gettempdir()) / "-".join(parts)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise SuiteError(f"{folder}: belongs to another user; set TMPDIR to a folder of your own")
    return folder


def take(file: Path) -> IO[str] | None:
    """The locked file with this process's number in it, or None while another process holds it."""
    handle = open(file, "a+", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def wait_for_any(files: list[Path]) -> tuple[Path, IO[str]]:
    """The first of these files that can be locked, as soon as one can; says once who holds them."""
    said = False
    while True:
        for file in files:
            handle = take(file)
            if handle is not None:
                return file, handle
        if not said:
            holders = ", ".join(sorted({file.read_text(encoding="utf-8") or "?" for file in files}))
            print(f"every GPU is in use, by process {holders}: waiting", file=sys.stderr, flush=True)
            said = True
        time.sleep(POLL_SECONDS)


@contextmanager
def lease(device: str, known: list[str] | None = None) -> Iterator[str]:
    """Hold a card for the device `auto`, `cuda` or `cuda:N` and show CUDA no other; yields the device to ask torch for.

    Must be entered before the process first calls CUDA. Without a card nothing is held and the name stays as it is.
    Raises SuiteError for a card or a VGB_JOBS_PER_GPU that cannot be.
    """
    found = visible(cards() if known is None else known, os.environ.get("CUDA_VISIBLE_DEVICES"))
    wanted = chosen(device, found)
    if not wanted:
        yield device
        return
    folder = lock_folder()
    places = {folder / f"{card}.{n}": entry for n in range(jobs_per_gpu()) for entry, card in wanted.items()}
    file, handle = wait_for_any(list(places))
    with handle:
        os.environ["CUDA_VISIBLE_DEVICES"] = places[file]
        yield device.partition(":")[0]
