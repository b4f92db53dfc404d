"""Files that are whole or absent, and that carry the SHA-256 of their content, checked whenever they are read.

Imports neither torch nor numpy before it needs them: records use it too.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

SUM = "sha256"


class DamagedError(ValueError):
    """A file is not what was written; the message is one line with its name and what to do."""

    def __init__(self, path: Path, reason: object, remedy: str = "the next call of snakemake makes it again"):
        first = (str(reason).splitlines() or ["unreadable"])[0][:160]
        self.what = f"{path}: damaged ({first})"
        super().__init__(f"{self.what}; {remedy}")


class WriteError(OSError):
    """A file cannot be written (a full disk, no permission); the message is one line."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to that becomes `path` at the end: a kill or a full disk leaves the old file or the new one."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise WriteError(f"{path}: cannot be written ({reason}); make room, and the same command continues") from error
    finally:
        temporary.unlink(missing_ok=True)


def file_sum(path: Path, algorithm: str = SUM) -> str:
    """Hash of a file, computed once in a process for each state of the file."""
    state = path.stat()
    return _file_sum(path, algorithm, state.st_size, state.st_mtime_ns, state.st_ino)


@cache
def _file_sum(path: Path, algorithm: str, *state: int) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest()


def content_sum(parts: Iterable[tuple[str, Any]]) -> str:
    """SHA-256 of named buffers."""
    digest = hashlib.sha256()
    for name, buffer in parts:
        digest.update(f"{name}\0{len(buffer)}\0".encode())
        digest.update(buffer)
    return digest.hexdigest()


def require(path: Path, stated: str | None, found: str) -> None:
    """DamagedError unless the sums agree; files of version 0.1 state none."""
    if stated not in (None, found):
        raise DamagedError(path, f"its SHA-256 is {found[:12]}..., it states {stated[:12]}...")


def _array_sum(arrays: Mapping[str, Any]) -> str:
    import numpy

    plain = {name: numpy.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    return content_sum((f"{name} {a.dtype} {a.shape}", a.tobytes()) for name, a in plain.items())


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as .npz. Raises WriteError."""
    import numpy

    arrays = {name: numpy.asarray(array) for name, array in arrays.items()}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        # the sum first: a damaged directory of the zip loses the last members
        numpy.savez_compressed(file, **{SUM: numpy.array(_array_sum(arrays))}, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file; DamagedError if it is not what was written, FileNotFoundError if it is absent."""
    import numpy

    try:
        with numpy.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if not arrays or not all(isinstance(array, numpy.ndarray) for array in arrays.values()):
            raise ValueError("it holds no arrays, or something else")
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, zlib and numpy have a dozen kinds
        raise DamagedError(path, error) from error
    stated = arrays.pop(SUM, None)
    require(path, None if stated is None else str(stated), _array_sum(arrays))
    return arrays


def _frame_sum(frame: Any) -> str:
    return content_sum([("csv", frame.to_csv(index=False).encode())])


def write_frame(path: Path, frame: Any) -> None:
    """Write a pandas table as .parquet. Raises WriteError."""
    stamped = frame.copy(deep=False)
    stamped.attrs = {SUM: _frame_sum(frame)}
    with replacing(path) as temporary:
        stamped.to_parquet(temporary, index=False)


def read_frame(path: Path) -> Any:
    """The table of a .parquet file; DamagedError if it is not what was written, FileNotFoundError if it is absent."""
    import pandas

    try:
        frame = pandas.read_parquet(path)
        stated = frame.attrs.pop(SUM, None)
    except FileNotFoundError:
        raise
    except Exception as error:  # Arrow's kinds of error are many
        raise DamagedError(path, error) from error
    require(path, stated, _frame_sum(frame))
    return frame
