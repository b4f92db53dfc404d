"""Entry point of `python -m benchmarks`."""

import sys


def main() -> int:
    """Run the command; `supervise`, which only waits for another, without what the others import."""
    if sys.argv[1:2] == ["supervise"]:
        from benchmarks.jobs.supervise import main as supervise

        return supervise(sys.argv[2:])
    from benchmarks.cli import main as command

    return command()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the command itself could heed it
        sys.exit(130)
