"""Commands for results that leave this machine: compare two frames, cite, bundle."""

import argparse
from pathlib import Path

from benchmarks.commands.common import Add


def compare(arguments: argparse.Namespace) -> int:
    """Say which cells of two results.parquet (or .csv) moved beyond noise; exit status 1 if any did, 2 on bad input."""
    from benchmarks import moved

    found = moved.compare(moved.read_frame(arguments.a), moved.read_frame(arguments.b), arguments.level)
    print("\n".join(moved.lines(found, arguments.all)))
    if arguments.csv:
        found.to_csv(arguments.csv)
    return int(moved.moved(found))


def register(add: Add) -> None:
    """The commands and their options."""
    options = add(compare)
    options.add_argument("a", type=Path, help="the frame before")
    options.add_argument("b", type=Path, help="the frame after")
    options.add_argument("--level", type=float, default=0.05, help="of the tests together (default 0.05)")
    options.add_argument("--csv", type=Path, help="write all cells there")
    options.add_argument("--all", action="store_true", help="also the cells that did not move")
