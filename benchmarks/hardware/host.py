"""What this machine is, free of torch: where its data lie and what computes."""

import os
import platform
import subprocess
from pathlib import Path


def data_root(setting: str | None = None) -> Path:
    """Where downloaded data lie: the setting, else VGB_DATA_ROOT, else `data/` in the current folder."""
    return Path(setting or os.environ.get("VGB_DATA_ROOT") or "data").resolve()


def processor() -> str:
    """The processor by name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def gpu_names(driver: Path = Path("/proc/driver/nvidia/gpus")) -> list[str]:
    """The NVIDIA GPUs by name: from the driver's files, else from nvidia-smi; none without a driver."""
    found = sorted(driver.glob("*/information"))
    if found:
        lines = [line for path in found for line in path.read_text().splitlines()]
        return [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model")]
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=1).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
