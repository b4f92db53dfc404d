"""Try faults and write down how each ended: see tests/faults/__init__.py."""

import argparse
import importlib
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from benchmarks.hardware.import_server import PRELOADED
from benchmarks.hardware.provenance import commit, versions
from benchmarks.plan.suite import Suite
from tests.faults.bench import PROFILE, Bench, Defect, log
from tests.faults.kinds import KINDS, NAN_METHOD, NAN_RUN, can_mount, killed
from tests.helpers.small import RUNS

SHARES = {"damaged": 0.3, "full disk": 0.1, "not a number": 0.05, "Snakemake killed": 0.04}  # of the number of kills


def own_bench(root: Path) -> Bench:
    """The bench of a user's own method, sound as long as no trial changes it."""
    root.mkdir()
    (root / "mine.py").write_text(NAN_METHOD.format(fault="pass"))
    (root / "mine.yml").write_text(NAN_RUN)
    here = Path.cwd()
    os.chdir(root)
    try:
        return Bench(root, ("--runs", "mine.yml"), Suite(PROFILE, Path("mine.yml")))
    finally:
        os.chdir(here)


def plan(kills: int, rng: random.Random, runs: list[str]) -> list[tuple[str, str]]:
    """(kind, run) of every trial, in random order; the runs in turn, so that each is killed."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * kills))]
    trials = ["killed"] * (kills // 2) + kinds  # a trial kills twice or more, as a rule
    rng.shuffle(trials)
    turn = rng.sample(runs, len(runs))
    return [(kind, "mine" if kind == "not a number" else turn[k % len(turn)]) for k, kind in enumerate(trials)]


def attempt(kind: str, bench: Bench, run: str, rng: random.Random) -> dict[str, object]:
    """One trial and its outcome."""
    began = time.monotonic()
    found: dict[str, object] = {"kind": kind, "run": run}
    try:
        what, errors = killed(bench, run, rng) if kind == "killed" else KINDS[kind](bench, run, rng)
        found |= {"what": what, "outcome": "clear error" if errors else "equal", "errors": errors}
    except Defect as defect:
        found |= {"outcome": str(defect.args[0]), "errors": [str(a) for a in defect.args[1:]]}
    except Exception as error:  # of the harness itself, or of a command that it did not expect
        found |= {"outcome": "unexpected", "errors": [f"{type(error).__name__}: {error}"]}
    found["seconds"] = round(time.monotonic() - began, 1)
    log(f"{kind} {run}: {found['outcome']} {found.get('what', '')} {found['errors'] or ''} {found['seconds']} s")
    return found


def trials(kills: int, minutes: float, seed: int, runs: list[str], without: list[str], root: Path) -> dict[str, object]:
    """Try faults until enough processes were killed and every kind was tried, or the time is over."""
    torch.set_num_threads(1)
    for name in (*PRELOADED, "benchmarks.jobs.evaluate"):  # in memory once, for every forked command
        importlib.import_module(name)
    rng, deadline = random.Random(seed), time.monotonic() + 60 * minutes
    benches = {"mine": own_bench(root / "own"), "": Bench(root)}
    skipped = {"full disk": can_mount(root / "disk"), **dict.fromkeys(without, "not asked for")}
    found: list[dict[str, object]] = []
    done = 0
    for kind, run in plan(kills, rng, runs):
        if time.monotonic() > deadline:
            break
        if skipped.get(kind) or (kind == "killed" and done >= kills):
            continue
        found.append(attempt(kind, benches.get(run, benches[""]), run, rng))
        done += found[-1].get("what", 0) if kind == "killed" else 0  # type: ignore[operator]
    table = {kind: dict(Counter(t["outcome"] for t in found if t["kind"] == kind)) for kind in ("killed", *KINDS)}
    return {
        "commit": commit(),
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "seed": seed,
        "kills": done,
        "runs": len({t["run"] for t in found}),
        "outcomes": table,
        "not tried": {kind: why for kind, why in skipped.items() if why},
        "defects": [t for t in found if t["outcome"] not in ("equal", "clear error")],
    }


def main() -> int:
    """Exit status 1 if a trial ended in a defect."""
    options = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--minutes", type=float, default=30)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--runs", nargs="*", default=list(RUNS))
    options.add_argument("--without", nargs="*", default=[], choices=list(KINDS), help="kinds of fault to leave out")
    options.add_argument("--output", type=Path, default=Path("reports/published/faults.json"))
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = trials(asked.kills, asked.minutes, asked.seed, asked.runs, asked.without, Path(folder))
    asked.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    log(f"{found['kills']} kills: {found['outcomes']}; {len(found['defects'])} defects; see {asked.output}")  # type: ignore[arg-type]
    return int(bool(found["defects"]))


if __name__ == "__main__":
    sys.exit(main())
