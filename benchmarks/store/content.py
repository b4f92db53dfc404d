"""What data sets hold: sums of their files, kept so that a file is read again only where its size or time changes."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.config.models import Dataset
from methods.training.atomic_files import content_sum, file_sum, replacing


def cache_root() -> Path:
    """Where decoded images and sums are kept: VGB_CACHE, else `vgbench` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("VGB_CACHE") or Path(home) / "vgbench")


def files_in(path: Path) -> Iterator[Path]:
    """The file itself, or all files of a folder, in order."""
    if path.is_dir():
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (Path(folder) / name for name in sorted(names))
    else:
        yield path


def listing(path: Path) -> str:
    """Hash of the names, sizes and times of a file or of the files of a folder."""
    digest = hashlib.sha256()
    for file in files_in(path):
        found = file.stat()
        digest.update(f"{file.relative_to(path)} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def sum_of_path(path: Path) -> str:
    """Hash of the content and names of a file or of the files of a folder, read only if `listing` has changed."""
    kept = cache_root() / "sums" / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]}.json"
    now = listing(path)
    try:
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["listing"] == now:
            return str(before["sum"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not kept yet, or no such record
    found = content_sum((str(file.relative_to(path)), file_sum(file).encode()) for file in files_in(path))
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as temporary:
            temporary.write_text(json.dumps({"path": str(path), "listing": now, "sum": found}), encoding="utf-8")
    except OSError:
        pass  # a cache that cannot be written costs time only
    return found


def content_of(definition: Dataset, root: Path) -> str:
    """`embedded`, `absent`, or a hash of what the data set's files below `root` hold, of its substitute with its words.

    Files of the same size and time as before are taken to be unchanged.
    """
    if not definition.files:
        return "embedded"
    substitute = definition.substitute(root)
    if substitute is not None:
        return f"{definition.substitutes[substitute]} {sum_of_path(root / substitute)[:16]}"
    if not definition.present(root):
        return "absent"
    sums = [sum_of_path(root / file) for file in definition.files]
    return sums[0][:16] if len(sums) == 1 else content_sum((part, b"") for part in sums)[:16]
