"""What the last jobs wrote, the table of results and the pages: whole, and of the definitions that hold now.

Beside the files lies `files.json` with their sums, what they depend on, and what of them could not be made.
"""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.errors import SuiteError
from benchmarks.plan.suite import Suite
from benchmarks.store.records import Record, read
from methods.training.atomic_files import DamagedError, content_sum, file_sum

NAME = "files.json"
RESULTS = ("results.parquet", "results.csv", "results.json")


class Rendered(Record):
    """`files.json`: the SHA-256 of the files of a folder, and what they hold.

    Of a page `basis`, a hash of all that it depends on, and part -> why it is not there; of results their cells.
    """

    files: dict[str, str]
    basis: str = ""
    failed: dict[str, str] = {}
    cells: list[str] = []


def cells_of(suite: Suite) -> set[str]:
    """`run/seed/metric` of every cell."""
    return {f"{folder}/{metric}" for folder, job in suite.jobs.items() for metric in job.metrics}


def page_basis(suite: Suite) -> str:
    """Hash of all that a page depends on but the results, which Snakemake sees by their time."""
    return content_sum((part, b"") for part in (suite.report_code(), suite.report_options()))[:16]


def sum_of(path: Path) -> str:
    """SHA-256 of a file; empty where it cannot be read."""
    try:
        return file_sum(path)
    except OSError:
        return ""


def sums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Name -> SHA-256 of files in the folder."""
    return {name: file_sum(folder / name) for name in names}


def why(folder: Path, basis: str = "", cells: Iterable[str] = ()) -> str:
    """Why the files of the folder are to be made; empty where they are whole, of this basis, and have these cells."""
    try:
        found = read(folder / NAME, Rendered)
    except DamagedError as error:
        return error.what
    except SuiteError:
        return "missing"
    for name, stated in found.files.items():
        path = folder / name
        if not path.exists():
            return f"{path}: missing"
        if sum_of(path) != stated:
            return f"{path}: damaged"
    if found.basis != basis or not set(cells) <= set(found.cells):
        return "of other definitions or results"
    return "; ".join(f"failed: {part}: {reason}" for part, reason in found.failed.items())


def again(suite: Suite, results: Path) -> dict[str, str]:
    """The table of results and the page -> why they are to be made; empty where they are not."""
    table, page = results / RESULTS[0], suite.reports / "index.html"
    return {
        str(table): why(results, cells=cells_of(suite)),
        str(page): why(suite.reports, page_basis(suite)),
    }
