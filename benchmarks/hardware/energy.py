"""What a training costs besides time: energy and GPU memory, read from counters; nothing is estimated.

A GPU's energy is that of the whole card (NVML), a processor's that of its packages (RAPL): with other jobs beside it
both include theirs, so energies of simultaneous jobs do not add up.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")
KWH = 3.6e6  # joules
Counter = Callable[[], float]


class UnreadableError(Exception):
    """Why a counter cannot be read here."""


def card(device: torch.device) -> Counter:
    """Joules since the driver was loaded of the GPU; UnreadableError without the package or where it has no counter."""
    try:
        import pynvml  # type: ignore[import-not-found]
    except ImportError:
        raise UnreadableError("GPU: package nvidia-ml-py is not installed (pip install -e '.[gpu]')") from None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except (pynvml.NVMLError, AttributeError) as error:
        raise UnreadableError(f"GPU: NVML: {error}") from None
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3


class Package:
    """Joules of one processor package: a counter that starts again at zero, which two readings in between may miss."""

    def __init__(self, folder: Path):
        self.file = folder / "energy_uj"
        self.range = int((folder / "max_energy_range_uj").read_text())
        self.last, self.total = int(self.file.read_text()), 0

    def __call__(self) -> float:
        now = int(self.file.read_text())
        self.total, self.last = self.total + (now - self.last) % self.range, now
        return self.total / 1e6


def packages(folder: Path = POWERCAP) -> list[Counter]:
    """Counters of the processor's packages; UnreadableError where the kernel shows none (or to its owner only)."""
    try:
        zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        found = [Package(zone) for zone in zones if (zone / "name").read_text().startswith("package")]
    except (OSError, ValueError) as error:
        raise UnreadableError(f"processor: RAPL: {error}") from None
    if not found:
        raise UnreadableError(f"processor: no RAPL counter in {folder}")
    return list(found)


def counters(device: torch.device, folder: Path = POWERCAP) -> tuple[list[Counter], str]:
    """(counters, what they count); none and `not measured: ...` where what the training runs on has none."""
    on_gpu, found, says = device.type == "cuda", [], []
    sources: list[tuple[str, Callable[[], list[Counter]]]] = [("RAPL: processor packages", lambda: packages(folder))]
    if on_gpu:
        sources.insert(0, ("NVML: whole card", lambda: [card(device)]))
    for name, source in sources:
        try:
            found += source()
            says.append(name)
        except UnreadableError as reason:
            if not found:  # of the first source: it is what does the work
                return [], f"not measured: {reason}"
            says.append(f"without {reason}")
    return found, "; ".join(says)


class Meter:
    """Costs of this process since the meter began; a training adds them up over its resumes."""

    def __init__(self, device: torch.device, folder: Path = POWERCAP):
        self.device, self.began = device, time.monotonic()
        self.counters, self.source = counters(device, folder)
        self.before = [counter() for counter in self.counters]
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def __call__(self) -> dict[str, float]:
        """`gpu_seconds`, and `joules` where they can be read."""
        found = {"gpu_seconds": time.monotonic() - self.began if self.device.type == "cuda" else 0.0}
        if self.counters:
            found["joules"] = sum(c() - b for c, b in zip(self.counters, self.before, strict=True))
        return found

    def says(self) -> dict[str, Any]:
        """Peak of what PyTorch held on the GPU, and what the joules are of."""
        peak = torch.cuda.max_memory_allocated(self.device) / 2**20 if self.device.type == "cuda" else 0.0
        return {"peak_gpu_memory_mib": round(peak, 1), "energy_source": self.source}


def total(ends: list[dict[str, Any]]) -> dict[str, Any]:
    """The record's fields for trainings that ended so; no energy if a part of one ran where it could not be read."""
    sources = list(dict.fromkeys(end["energy_source"] for end in ends))
    found = {
        "gpu_seconds": round(sum(end["gpu_seconds"] for end in ends), 2),
        "peak_gpu_memory_mib": max(end["peak_gpu_memory_mib"] for end in ends),
    }
    if all("joules" in end for end in ends):
        return {**found, "energy_kwh": sum(end["joules"] for end in ends) / KWH, "energy_source": "; ".join(sources)}
    here = "not measured: a part was trained where there is no counter"
    return {**found, "energy_source": next((s for s in sources if s.startswith("not measured")), here)}
