"""Seconds that Snakemake takes to plan many runs of one's own, before the first job starts.

    python -m benchmarks.speed.dag --runs 1000 --seeds 3 [--profile dag.prof]

Each run and seed is two jobs, training and evaluation; those of profile quick stand beside them.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.config.declarations import ROOT


def many_runs(count: int, seeds: int) -> dict[str, dict]:
    """Runs of one VAE on one dataset that differ in their learning rates."""
    return {
        f"own-{number}": {
            "method": "VAE",
            "dataset": "digits",
            "latent_dim": 8,
            "components": {"encoder": "mnist-gaussian-encoder", "decoder": "mnist-decoder"},
            "train": {"steps": 1000, "batch_size": 128, "learning_rate": 1e-3 * (1 + number / count)},
            "profiles": {"quick": {"seeds": seeds}},
        }
        for number in range(count)
    }


def main() -> None:
    """Print the number of jobs and the seconds of a dry run; with --profile, write a cProfile of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--profile", type=Path, help="file for a cProfile")
    arguments = parser.parse_args()
    profiler = ["-m", "cProfile", "-o", str(arguments.profile.resolve())] if arguments.profile else []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "own.yml").write_text(yaml.safe_dump(many_runs(arguments.runs, arguments.seeds)))
        command = [sys.executable, *profiler, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--dry-run", "--quiet", "rules", "--config", "runs=own.yml"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - began
    total = re.search(r"^total\s+(\d+)", done.stdout + done.stderr, re.MULTILINE)
    if done.returncode or total is None:
        sys.exit(done.stderr[-2000:])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{total[1]} jobs planned in {seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of them on a core")


if __name__ == "__main__":
    main()
