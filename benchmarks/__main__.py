"""Entry point of `python -m benchmarks`."""

import os
import sys


def main() -> int:
    """Run the command in the warm process that VGB_WARM (`<folder>:<owner's pid>`) names, else in this one."""
    warm = os.environ.get("VGB_WARM", "")
    if warm:
        from benchmarks.jobs.warm import run

        folder, _, owner = warm.rpartition(":")
        status = run(folder, int(owner), sys.argv[1:])
        if status is not None:
            return status
    from benchmarks.cli import main as command

    return command()


try:
    sys.exit(main())
except KeyboardInterrupt:  # before the command itself could heed it
    sys.exit(130)
