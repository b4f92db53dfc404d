"""Where a number comes from: code, packages, data and machine."""

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks.config.declarations import ROOT
from benchmarks.hardware.host import processor
from methods.training.minibatches import Images

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "numpyro", "snakemake")


def installed(packages: list[str] | tuple[str, ...]) -> dict[str, str]:
    """Versions of those of the packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    gpu = {"cuda": str(torch.version.cuda)} if torch.cuda.is_available() else {}
    return {"python": platform.python_version(), **installed(PACKAGES), **gpu}


@cache
def environment_sha256() -> str:
    """Hash of the versions of Python and of the packages of constraints.txt (PACKAGES in a copy without it)."""
    locked = ROOT / "constraints.txt"
    lines = locked.read_text(encoding="utf-8").splitlines() if locked.exists() else PACKAGES
    names = sorted(line.split("==")[0].lower() for line in lines if not line.startswith("#"))
    text = "\n".join(f"{k}=={v}" for k, v in {"python": platform.python_version(), **installed(names)}.items())
    return hashlib.sha256(text.encode()).hexdigest()


def data_sha256(images: Images) -> str:
    """Hash of the training examples that a run may use, with their labels; empty for a problem without data."""
    if not images.pixels.numel():
        return ""
    digest = hashlib.sha256(f"{images.pixels_as} {list(images.pixels.shape)}".encode())
    for tensor in (images.pixels, images.labels):
        for piece in () if tensor is None else tensor.split(1 << 14):  # a memory map is not read whole
            digest.update(piece.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def commit() -> str:
    """This repository's commit, with `+` if files differ from it; empty outside git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def hardware(device: torch.device) -> str:
    """The processor or GPU by name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor()
