"""The reference of a problem: its draws and their record, whatever happens."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.errors import first_line
from benchmarks.records import Reference, write
from benchmarks.references.draws import make_reference
from methods.files import WriteError


def record_reference(problem: str, folder: Path, options: Mapping[Any, int], code: str) -> Reference:
    """Write `<problem>.npz` and `<problem>.json`; `failed` where the sampler raises or one of its checks fails.

    After an exception no draws are left, as earlier ones are of another code. Raises WriteError.
    """
    record = Reference(problem=problem, status="failed", code=code)
    try:
        numbers, checks = make_reference(problem, folder, dict(options))
    except WriteError:
        raise
    except Exception as error:
        traceback.print_exc()
        (folder / f"{problem}.npz").unlink(missing_ok=True)
        record = record.model_copy(update={"reason": f"{type(error).__name__}: {first_line(error)}"})
    else:
        wrong = [f"{check}: {what}" for check, what in checks.items() if what]
        found = {"status": "failed" if wrong else "ok", "reason": "; ".join(wrong), "checks": checks}
        record = Reference(**{**record.model_dump(), **numbers, **found})
    write(folder / f"{problem}.json", record)
    return record
