"""Entry point of `python -m benchmarks` and of the script `vgbench`."""

import sys


def main() -> int:
    """Run the command; `supervise`, which only waits for another, without what the others import."""
    if sys.argv[1:2] == ["supervise"]:
        from benchmarks.jobs.supervise import main as supervise

        return supervise(sys.argv[2:])
    from benchmarks.cli.main import main as command

    return command()


def run() -> None:
    """`vgbench`: end the process with the command's exit status."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the command itself could heed it
        sys.exit(130)


if __name__ == "__main__":
    run()
