"""Parts of a report fail alone: each is made under guard, and its error stands in its place."""

import errno
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from benchmarks.errors import SuiteError, first_line
from benchmarks.plan.rendered import NAME, Rendered
from benchmarks.store.records import read
from methods.training.atomic_files import DamagedError, WriteError

T = TypeVar("T")
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)  # no fault of what was being made


class Faults:
    """Part of the page -> why it is not there."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def attempt(self, part: str, make: Callable[[], T], otherwise: T) -> T:
        """What `make` gives; `otherwise` where it raises anything but WriteError or an error of the disk."""
        try:
            return make()
        except Exception as error:
            if isinstance(error, WriteError) or (isinstance(error, OSError) and error.errno in OF_THE_DISK):
                raise
            print(f"{part} could not be made:", file=sys.stderr)
            traceback.print_exc()
            self.found[part] = f"{type(error).__name__}: {first_line(error)}"
            return otherwise


def files_before(target: Path) -> set[str]:
    """The files of the page that stands in `target`; none where it does not say."""
    try:
        return set(read(target / NAME, Rendered).files)
    except (SuiteError, DamagedError):
        return set()


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder whose files replace those of `target` at the end, index.html last: an earlier page stays until then.

    Files of the earlier page that are not made any more are deleted. Raises WriteError.
    """
    new = target.with_name(f".{target.name}.new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        yield new
        before = files_before(target)
        made = [path.relative_to(new) for path in new.rglob("*") if path.is_file()]
        for name in sorted(made, key=lambda path: (path.name == NAME, path.name == "index.html", path)):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(new / name, target / name)
        for name in before - {path.as_posix() for path in made}:
            (target / name).unlink(missing_ok=True)
    except WriteError:
        raise
    except OSError as error:
        where, why = error.filename or target, error.strerror or first_line(error)
        raise WriteError(f"{where}: cannot be written ({why}); make room, and the same command makes it") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
