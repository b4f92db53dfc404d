"""Weights and training state on disk: safetensors, written atomically, never pickle."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write `tensors` and JSON-able `metadata`; a kill at any moment leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    save_file(plain, str(temporary), {"json": json.dumps(metadata)})
    os.replace(temporary, path)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file of `write_tensors`; ValueError if it is damaged."""
    try:
        with safe_open(str(path), "pt") as file:
            metadata = json.loads((file.metadata() or {}).get("json", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except Exception as error:
        raise ValueError(f"{path}: not a readable checkpoint ({error}); delete it to start afresh") from error


def save_weights(path: Path, module: nn.Module, metadata: dict[str, Any]) -> None:
    """Write a module's parameters and buffers."""
    write_tensors(path, module.state_dict(), metadata)


def load_weights(path: Path, module: nn.Module) -> dict[str, Any]:
    """Load what `save_weights` wrote, exactly; ValueError if names or shapes differ."""
    tensors, metadata = read_tensors(path)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ValueError(f"{path}: weights of another specification ({first})") from error
    return metadata


def optimiser_tensors(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state under flat names."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser/{name}/{index}/{key}": torch.as_tensor(value)
        for index, entries in state.items()
        for key, value in entries.items()
    }


def restore_optimiser(name: str, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimiser_tensors`."""
    prefix = f"optimiser/{name}/"
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        if path.startswith(prefix):
            index, key = path.removeprefix(prefix).split("/")
            state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
