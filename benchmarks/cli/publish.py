"""Commands for results that leave this machine: compare two frames, cite, bundle."""

import argparse
from pathlib import Path

from benchmarks.cli.common import Add, suite_of


def compare(arguments: argparse.Namespace) -> int:
    """Say which cells of two results.parquet (or .csv) moved beyond noise; exit status 1 if any did, 2 on bad input."""
    from benchmarks.statistics import moved

    found = moved.compare(moved.read_frame(arguments.a), moved.read_frame(arguments.b), arguments.level)
    print("\n".join(moved.lines(found, arguments.all)))
    if arguments.csv:
        found.to_csv(arguments.csv)
    return int(moved.moved(found))


def cite(arguments: argparse.Namespace) -> int:
    """Print BibTeX of the suite and of the methods, data, metrics and papers that runs or tables use (default: all)."""
    from benchmarks.report.citations import bibtex

    print(bibtex(suite_of(arguments), arguments.names))
    return 0


def bundle(arguments: argparse.Namespace) -> int:
    """Write a zip of a profile's results to deposit and cite; with --check, verify the sums of one."""
    from benchmarks.report import bundle as zips

    if arguments.check:
        print(f"{arguments.file}: {zips.check(arguments.file)} files as stated")
        return 0
    count = zips.write(suite_of(arguments), arguments.file, arguments.weights_mb)
    print(f"{arguments.file}: {count} files, {arguments.file.stat().st_size / 2**20:.1f} MiB")
    return 0


def register(add: Add) -> None:
    """The commands and their options."""
    options = add(compare)
    options.add_argument("a", type=Path, help="the frame before")
    options.add_argument("b", type=Path, help="the frame after")
    options.add_argument("--level", type=float, default=0.05, help="of the tests together (default 0.05)")
    options.add_argument("--csv", type=Path, help="write all cells there")
    options.add_argument("--all", action="store_true", help="also the cells that did not move")
    options = add(bundle)
    options.add_argument("file", type=Path, help="the zip")
    options.add_argument("--check", action="store_true", help="verify it instead of writing it")
    options.add_argument("--weights-mb", type=float, default=1.0, help="greatest size of a run's weights (0: none)")
    add(cite).add_argument("names", nargs="*", help="runs or tables")
