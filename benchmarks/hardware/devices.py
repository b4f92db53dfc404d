"""The device of a job, and how PyTorch computes on it: the one place where determinism and precision are set."""

import os

import torch

from benchmarks.errors import SuiteError

AMPERE = (8, 0)  # the first GPUs with TF32


def choose_device(name: str) -> torch.device:
    """The prepared device. `auto` is the GPU if there is one; asking for an absent GPU is a SuiteError, no surprise."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise SuiteError(f"device {name}: this PyTorch ({torch.__version__}) sees no GPU; use auto or cpu")
    device = torch.device(name)
    prepare(device)
    return device


def prepare(device: torch.device, precision: str = "float32") -> None:
    """Same inputs, same bits, and no TF32 unless a run asks for it (PyTorch's convolutions would use it unasked).

    An operation of a GPU without a deterministic form warns in the job's log, since a result is better than none. A
    CPU needs none of this: its operations are deterministic for a number of threads.
    """
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first handle is made
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it costs time
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def precision_on(device: torch.device, asked: str) -> str:
    """The precision that a training had on this device: TF32 needs a GPU that has it, and is float32 elsewhere."""
    if asked != "tf32" or (device.type == "cuda" and torch.cuda.get_device_capability(device) >= AMPERE):
        return asked
    return "float32 (tf32 was asked for, and this device has none)"
