"""Share of core time of the last Snakemake call that went neither into training nor into evaluation.

    snakemake --cores 2 && python -m benchmarks.speed.overhead --cores 2

Useful time: the seconds in training loops and in metrics, as the records say, and in references. All time: cores times
the wall time between the first and the last time stamp of Snakemake's log. An idle core counts as waste.
"""

import argparse
import json
import re
from datetime import datetime
from pathlib import Path

import pandas

STAMP = re.compile(r"^\[(\w+ \w+ +\d+ [\d:]+ \d+)\]$", re.MULTILINE)


def wall_seconds(log: str) -> float:
    """Between the first and the last time stamp of a Snakemake log; ValueError if it has none."""
    stamps = [datetime.strptime(text, "%a %b %d %H:%M:%S %Y") for text in STAMP.findall(log)]
    if not stamps:
        raise ValueError("no time stamps in the log: did the call run any job?")
    return (max(stamps) - min(stamps)).total_seconds()


def useful_seconds(folder: Path) -> dict[str, float]:
    """Seconds in training loops, metrics and references, summed over the jobs of results/<profile>."""
    frame = pandas.read_parquet(folder / "results.parquet")
    references = [json.loads(path.read_text())["seconds"] for path in sorted(folder.glob("references/*.json"))]
    return {
        "training": float(frame.drop_duplicates(["run", "seed"]).seconds.sum()),
        "metrics": float(frame.evaluation_seconds.sum()),
        "references": float(sum(references)),
    }


def main() -> None:
    """Print the parts and the share that is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    logs = sorted(Path(".snakemake/log").glob("*.snakemake.log"), key=lambda path: path.stat().st_size)
    wall = wall_seconds(logs[-1].read_text())
    parts = useful_seconds(Path("results") / arguments.profile)
    total = arguments.cores * wall
    print(f"{wall:.0f} s on {arguments.cores} cores; " + ", ".join(f"{k} {v:.0f} core-s" for k, v in parts.items()))
    print(f"neither training nor evaluation: {100 * (1 - sum(parts.values()) / total):.1f} % of {total:.0f} core-s")


if __name__ == "__main__":
    main()
