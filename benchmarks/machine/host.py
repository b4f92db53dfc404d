"""What this machine is, free of torch: where its data lie and what computes."""

import os
import platform
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
