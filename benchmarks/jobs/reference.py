"""The reference of a problem: its draws and their record, whatever happens."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.errors import first_line
from benchmarks.posteriors.references import make_reference
from benchmarks.store.records import Reference, write
from methods.training.atomic_files import WriteError


def record_reference(
    problem: str, folder: Path, options: Mapping[Any, int], code: dict[str, str], sampler: str = ""
) -> Reference:
    """Write `<problem>.npz` and `<problem>.json`; `failed` where the sampler raises or one of its checks fails.

    After an exception no draws are left, as earlier ones are of another code. Raises WriteError.
    """
    record = Reference(problem=problem, status="failed", code=code)
    try:
        made = make_reference(problem, folder, dict(options), sampler)
    except WriteError:
        raise
    except Exception as error:
        traceback.print_exc()
        (folder / f"{problem}.npz").unlink(missing_ok=True)
        record = record.model_copy(update={"reason": f"{type(error).__name__}: {first_line(error)}"})
    else:
        wrong = [f"{check}: {what}" for check, what in made.checks.items() if what]
        found = {"status": "failed" if wrong else "ok", "reason": "; ".join(wrong), "checks": made.checks}
        record = Reference(**{**record.model_dump(), **made.numbers, **found})
    write(folder / f"{problem}.json", record)
    return record
