"""Commands of the rules that gather and show: collect, report, verdict."""

import argparse
import sys

from benchmarks.commands.common import Add, suite_of


def collect(arguments: argparse.Namespace) -> int:
    """Gather all records into results.parquet and results.csv."""
    from benchmarks.report.frame import collect as run

    run(suite_of(arguments))
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Render tables, figures, claims and the page."""
    from benchmarks.report.page import render

    print(render(suite_of(arguments)), file=sys.stderr)
    return 0


def verdict(arguments: argparse.Namespace) -> int:
    """List failed and stale cells and set their records aside, so that the next call makes them again."""
    from benchmarks.report.against import contracts
    from benchmarks.report.frame import set_cells_aside

    suite = suite_of(arguments)
    failures = set_cells_aside(suite) + [f"failed: {line}" for record in contracts(suite) for line in record.failed]
    for line in failures:
        print(line, file=sys.stderr)
    return 1 if failures else 0


def register(add: Add) -> None:
    """The commands."""
    for command in (collect, report, verdict):
        add(command)
