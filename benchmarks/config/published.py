"""The numbers that the papers print, from benchmarks/papers/*/published.csv, each with its margin and its reason."""

import csv
from dataclasses import dataclass
from functools import cache

from benchmarks.config.declarations import ROOT
from benchmarks.errors import SuiteError

FOLDER = ROOT / "benchmarks" / "papers"
Address = tuple[str, str, str]  # table, row, column


@dataclass(frozen=True)
class Published:
    """A number as the paper prints it (`text`), in the unit of its column.

    `error`: the printed one, `error_of` test `images` (a standard error) or `runs` (a standard deviation over so many
    `runs`). `margin`: within which another number is the same, and `why`; None where no number can be compared with it.
    `measured`: `own`, or the paper that it is cited from.
    """

    value: float
    text: str
    error: float | None = None
    error_of: str = ""
    runs: int | None = None
    margin: float | None = None
    why: str = ""
    measured: str = "own"
    note: str = ""
    approximate: bool = False


@cache
def published_values() -> dict[Address, Published]:
    """(table, row, column) -> the published value. Raises SuiteError at a row that is no such number."""
    found: dict[Address, Published] = {}
    for path in sorted(FOLDER.glob("*/published.csv")):
        with open(path, encoding="utf-8", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                try:
                    found[row["table"], row["row"], row["column"]] = _published(row)
                except (KeyError, TypeError, ValueError) as error:
                    raise SuiteError(f"{path.relative_to(ROOT)}, line {line}: {error}; see class Published") from None
    return found


def _published(row: dict[str, str]) -> Published:
    margin = float(row["margin"]) if row["margin"] else None
    if not row["why"] or (margin is not None and not margin > 0):
        raise ValueError("expected a margin above 0 with its reason in `why`, or a reason why there is none")
    return Published(
        value=float(row["value"]),
        text=row["value"],
        error=float(row["error"]) if row["error"] else None,
        error_of=row["error_of"],
        runs=int(row["runs"]) if row["runs"] else None,
        margin=margin,
        why=row["why"],
        measured=row["measured"],
        note=row["note"],
        approximate=row["approximate"] == "yes",
    )
