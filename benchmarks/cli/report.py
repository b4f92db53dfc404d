"""Commands of the rules that gather and show: collect, report, verdict."""

import argparse
import sys
from pathlib import Path

from benchmarks.cli.common import Add, locked, suite_of


def collect(arguments: argparse.Namespace) -> int:
    """Gather all records into results.parquet and results.csv."""
    from benchmarks.jobs.collect import collect as run
    from benchmarks.jobs.collect import folder_of

    suite = suite_of(arguments)
    with locked(folder_of(suite) / ".collect"):
        for left in folder_of(suite).glob(".tmp-*"):  # of a call that was killed
            left.unlink(missing_ok=True)
        run(suite)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Render tables, figures, claims and the page."""
    from benchmarks.report.page import render

    suite = suite_of(arguments)
    with locked(Path("results") / suite.name / ".report"):
        print(render(suite), file=sys.stderr)
    return 0


def verdict(arguments: argparse.Namespace) -> int:
    """List what failed or is stale, which the next call makes again; exit status 1 if there is any."""
    from benchmarks.jobs.collect import unsettled

    lines = unsettled(suite_of(arguments))
    for line in lines:
        print(line, file=sys.stderr)
    if lines:
        print("the next call makes these again", file=sys.stderr)
    return int(bool(lines))


def register(add: Add) -> None:
    """The commands."""
    for command in (collect, report, verdict):
        add(command)
