"""`python -m benchmarks`: the commands that the rules run, and that a person can paste."""

import argparse
import os
import sys

from benchmarks.cli import contract, jobs, overview, publish, report, schemas
from benchmarks.cli.common import Command
from benchmarks.errors import SuiteError
from methods.training.atomic_files import DamagedError

MODULES = (overview, publish, schemas, jobs, contract, report)


def parser() -> argparse.ArgumentParser:
    """The command line: each module of benchmarks/commands registers its commands."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    def add(function: Command) -> argparse.ArgumentParser:
        name = function.__name__.rstrip("_")  # type: ignore[attr-defined]
        sub = commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        sub.set_defaults(function=function)
        sub.add_argument("--profile", default="quick", help="smoke, quick, quick-seeds, laptop or paper")
        sub.add_argument("--runs", help="a YAML file with runs of your own")
        sub.add_argument("--only", nargs="*", help="tables, figures, claims or runs")
        sub.add_argument("--compare", nargs="*", help="tables of which a copy has the runs of --runs too")
        sub.add_argument("--data-root", help="folder of downloaded data (default: VGB_DATA_ROOT or data/)")
        return sub

    for module in MODULES:
        module.register(add)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; an error that a person can mend is one line on standard error and exit status 2."""
    try:
        arguments = parser().parse_args(argv)
        return arguments.function(arguments)
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SuiteError, DamagedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 130
    except Exception as error:
        from benchmarks.errors import NotRunError

        if isinstance(error, NotRunError):
            print(f"not run: {error}", file=sys.stderr)
            return 3
        raise
