"""Weights and training state on disk: safetensors with a sum of their content, written atomically, never pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from methods.training.atomic_files import SUM, DamagedError, content_sum, replacing, require


def tensor_sum(tensors: dict[str, Tensor], metadata: str) -> str:
    """SHA-256 of tensors and metadata."""
    parts = [("json", metadata.encode())]
    for name, t in sorted(tensors.items()):
        parts.append((f"{name} {t.dtype} {tuple(t.shape)}", t.reshape(-1).view(torch.uint8).numpy()))  # type: ignore[arg-type]
    return content_sum(parts)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write `tensors` and JSON-able `metadata`; a kill at any moment leaves the old file or the new one."""
    plain, text = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, json.dumps(metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(in_order(save(plain, {"json": text, SUM: tensor_sum(plain, text)})))


def in_order(content: bytes) -> bytes:
    """The safetensors file with its header's keys sorted: the library writes metadata in any order."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file of `write_tensors`; DamagedError if it is not what was written."""
    try:
        with safe_open(str(path), "pt") as file:
            stored = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = stored.get("json", "{}")
        metadata = json.loads(text)
    except Exception as error:  # safetensors has its own kind, and a pickle is one more
        raise DamagedError(path, error) from error
    require(path, stored.get(SUM), tensor_sum(tensors, text))
    return tensors, metadata


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
    """The inverse of `optimiser_tensors`: moments get their parameter's memory layout, which fused Adam assumes."""
    prefix = f"optimiser/{name}/"
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        if path.startswith(prefix):
            index, key = path.removeprefix(prefix).split("/")
            like = parameters[int(index)]
            laid_out = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape and tensor.ndim else tensor
            state.setdefault(int(index), {})[key] = laid_out
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
