"""Tensors that say they are on a GPU and compute on the CPU, with the rules of a GPU.

Inside `pretended_cuda()` whatever is made on "cuda" or moved there is a `Pretended` tensor around a real one, with the
same numbers as on the CPU. MixedDevicesError says where it meets a tensor of the CPU, as PyTorch would on a GPU; each
operation for whose result the program has to wait is recorded. PyTorch's own code sees tensors of the CPU below, so
autograd and optimisers work; autocast does nothing, and what only a GPU's kernels refuse is not found.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._pytree import tree_leaves, tree_map

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(f"{ROOT / part}/" for part in ("methods", "benchmarks"))
CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")  # a tensor that is moved to "cuda" says "cuda:0"

# the size or the value of the result must come from the device first
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "bincount", "_linalg_check_errors"}
WAITING |= {"_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
FROM_NUMBERS = {"tensor", "as_tensor", "new_tensor", "asarray"}
MOVING = {"to", "cuda", "cpu", "type"}


class MixedDevicesError(RuntimeError):
    """Tensors of the CPU and of the GPU in one operation that PyTorch refuses."""


@dataclass(frozen=True)
class Wait:
    """The program waited for the device: in which operation, and where in the project (file:function, line)."""

    operation: str
    place: str
    line: int

    def __str__(self) -> str:
        return f"{self.operation} in {self.place}, line {self.line}"


WAITS: list[Wait] = []


def waited(operation: str) -> None:
    """Record a wait at the innermost line of methods/ or benchmarks/ that is running."""
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    if frame is None:
        WAITS.append(Wait(operation, "elsewhere", 0))
    else:
        file = Path(frame.f_code.co_filename).relative_to(ROOT)
        WAITS.append(Wait(operation, f"{file}:{frame.f_code.co_qualname}", frame.f_lineno))


def on_cuda(device: Any) -> bool:
    """Whether a device, its name or its number is a GPU's; not of None."""
    return device is not None and (isinstance(device, int) or torch.device(device).type == "cuda")


class PretendedGenerator(torch.Generator):
    """A generator that says it is of the GPU where it is asked to be; the same numbers as on the CPU."""

    on: torch.device

    def __new__(cls, device: Any = CPU):
        found = super().__new__(cls)
        found.on = CUDA if on_cuda(device) else CPU
        return found

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.on


class Pretended(Tensor):
    """A tensor that says it is on the GPU, around an `inner` one on the CPU."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, real: Tensor, requires_grad: bool = False):
        shape: dict[str, Any] = {"strides": real.stride(), "storage_offset": real.storage_offset()}
        kind: dict[str, Any] = {"dtype": real.dtype, "layout": real.layout, "device": CPU}
        return Tensor._make_wrapper_subclass(cls, real.size(), requires_grad=requires_grad, **shape, **kind)

    def __init__(self, real: Tensor, requires_grad: bool = False):
        self.inner = real.detach()

    def __tensor_flatten__(self) -> tuple[list[str], None]:  # nn.Module.to then swaps parameters
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(tensors: dict[str, Tensor], *_: Any) -> "Pretended":
        return Pretended(tensors["inner"])

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        return False

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Pretended({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        check_devices(func, args, kwargs)
        wrappers = {id(t.inner): t for t in tree_leaves((args, kwargs)) if isinstance(t, Pretended)}
        found = func(*tree_map(inner_of, args), **tree_map(inner_of, kwargs))
        if waits(func, args, kwargs, found):
            waited(name_of(func))
        if name_of(func) == "copy_":
            return args[0]
        if torch.Tag.inplace_view in func.tags:  # the wrapper's own shape
            with no_dispatch():
                func(*args, **kwargs)
        return tree_map(lambda t: wrappers[id(t)] if id(t) in wrappers else wrapped(t), found)


def name_of(func: Any) -> str:
    """An operation's name without namespace and overload."""
    return func._schema.name.split("::")[-1]


def inner_of(value: Any) -> Any:
    """The tensor inside a pretended one; anything else as it is."""
    return value.inner if isinstance(value, Pretended) else value


def wrapped(value: Any) -> Any:
    """A tensor of the CPU on the pretended GPU; anything else as it is."""
    if isinstance(value, Tensor) and not isinstance(value, Pretended):
        return Pretended(value, value.requires_grad)
    return value


def check_devices(func: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """MixedDevicesError unless an operation's tensors and generator are all of the GPU.

    As in PyTorch, a number may be a tensor of the CPU without dimensions, an index any tensor of the CPU, and a copy
    goes across.
    """
    name = name_of(func)
    if name == "copy_":
        return
    checked = [args[0], *args[2:]] if name in INDEXING else args
    strays = [t for t in tree_leaves((checked, kwargs)) if isinstance(t, Tensor) and not isinstance(t, Pretended)]
    strays = [t for t in strays if t.ndim]
    if strays:
        raise MixedDevicesError(f"{name}: tensors of cuda, and of the CPU of shape {[tuple(t.shape) for t in strays]}")
    generator = kwargs.get("generator")
    if generator is not None and not on_cuda(generator.device):
        raise MixedDevicesError(f"{name}: a tensor of cuda, and a generator of the CPU")


def waits(func: Any, args: tuple, kwargs: dict[str, Any], found: Any) -> bool:
    """Whether a program on a GPU waits for this operation."""
    name = name_of(func)
    if name in INDEXING:
        indices = [t for t in args[1] if isinstance(t, Tensor)]
        fills = name != "index" and args[2].numel() == 1  # PyTorch then fills instead of looking for the places
        masks = any(t.dtype in (torch.bool, torch.uint8) for t in indices) and not fills
        return masks or not all(isinstance(t, Pretended) for t in indices)
    if name == "copy_":
        return not all(isinstance(t, Pretended) for t in args[:2])
    if name == "multinomial":  # which then looks at its probabilities
        return args[1] == 1 or not (args[2] if len(args) > 2 else kwargs.get("replacement", False))
    if name == "repeat_interleave":
        return isinstance(args[-1], Tensor) and kwargs.get("output_size") is None
    return name in WAITING or isinstance(found, bool | int | float)


def target(args: tuple, kwargs: dict[str, Any]) -> Any:
    """The device that `Tensor.to` is asked for; None if it is not."""
    for value in (*args[1:], kwargs.get("device"), kwargs.get("other")):
        if isinstance(value, Tensor):
            return value.device
        if isinstance(value, torch.device | str) or (isinstance(value, int) and not isinstance(value, bool)):
            return value
    return None


class Pretence(TorchFunctionMode):
    """Makes tensors on "cuda", and moves them there and back."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        of_tensor = bool(args) and isinstance(args[0], Tensor)
        if of_tensor and name in MOVING:
            return self.move(func, name, args, kwargs)
        if name in ("numpy", "__array__") and isinstance(args[0], Pretended):
            raise MixedDevicesError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")
        if name == "tolist" and isinstance(args[0], Pretended):
            waited(name)
            return args[0].inner.tolist()
        if name in FROM_NUMBERS and any(isinstance(a, Pretended) for a in args) and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": CUDA}
        if kwargs.get("device") is not None:
            return self.make(func, name, args, kwargs)
        if name == "one_hot" and isinstance(args[0], Pretended):  # its numbers of classes are made on the CPU
            if args[1:] == (-1,) or not (args[1:] or kwargs.get("num_classes", -1) >= 0):
                waited(name)
            return wrapped(func(args[0].inner, *args[1:], **kwargs))
        return func(*args, **kwargs)

    def make(self, func: Callable, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The result of a function that is told a device."""
        device, generator = kwargs["device"], kwargs.get("generator")
        if generator is not None and on_cuda(generator.device) != on_cuda(device):
            raise MixedDevicesError(f"{name}: a generator of {generator.device} for a tensor of {device}")
        if not on_cuda(device):
            return func(*tree_map(inner_of, args), **kwargs)
        if name in FROM_NUMBERS:
            waited(name)  # for the copy from the CPU
        return wrapped(func(*tree_map(inner_of, args), **{**kwargs, "device": CPU}))

    def move(self, func: Callable, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A tensor on the device, and in the dtype and layout, that is asked for."""
        tensor = args[0]
        device = {"cuda": CUDA, "cpu": CPU}.get(name) or target(args, kwargs)
        if device is None or on_cuda(device) == isinstance(tensor, Pretended):
            if device is None or name == "cpu":
                return func(*args, **kwargs)
            if name == "cuda":
                return tensor
        else:
            waited(name)
            kwargs = {k: v for k, v in kwargs.items() if k != "non_blocking"}
        if name in ("cuda", "cpu"):
            return wrapped(tensor) if name == "cuda" else tensor.inner
        here = [a.inner if isinstance(a, Pretended) and i else a for i, a in enumerate(args)]
        here = [here[0], *(CPU if isinstance(a, torch.device | str) else a for a in here[1:])]
        kwargs = {k: CPU if k == "device" and v is not None else inner_of(v) for k, v in kwargs.items()}
        if on_cuda(device):
            return func(*here, **kwargs) if isinstance(tensor, Pretended) else wrapped(func(*here, **kwargs))
        return func(inner_of(here[0]), *here[1:], **kwargs)


def synchronize(device: Any = None) -> None:
    """In place of torch.cuda.synchronize."""
    waited("synchronize")


@contextmanager
def pretended_cuda() -> Iterator[list[Wait]]:
    """Inside, "cuda" is pretended; gives the waits so far."""
    WAITS.clear()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch, "Generator", PretendedGenerator))
        stack.enter_context(mock.patch.object(torch.cuda, "synchronize", synchronize))
        stack.enter_context(Pretence())
        yield WAITS
