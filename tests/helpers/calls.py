"""Calls of Snakemake in a copy of the tree: what each ran, or would run; runs of a user's whose jobs break."""

import json
import os
import re

from tests.workflow.test_dag import snakemake

ONLY = ("avb-table-1", "avb-ac-torus")
CALL = ("--config", "profile=smoke", f"only={','.join(ONLY)}")
PAGE = f"reports/smoke/only/{'+'.join(sorted(ONLY))}"
FOLLOWING = {"collect", "report", "verdict"}
OWN = """
import os, signal, sys
from pathlib import Path
from methods.vae import VAE


class Own(VAE):
    paper = "mine"
    equations = "1"
    player_names = ("model",)

    def per_example_loss(self, batch):
        self.fault()
        return super().per_example_loss(batch)

    def fault(self):
        pass


class Kill(Own):
    def fault(self):
        if Path("broken").exists():
            os.kill(os.getpid(), signal.SIGKILL)


class Stop(Own):
    def fault(self):
        os.kill(os.getpid(), signal.SIGTERM)


class Exit(Own):
    def fault(self):
        if Path("broken").exists():
            sys.exit(0)


class Rebuild(Own):
    def __init__(self, encoder, decoder):
        if Path("broken").exists() and Path("results/smoke/rebuild/seed0/run.json").exists():
            raise RuntimeError("CUDA out of memory")
        super().__init__(encoder, decoder)


class Sample(Own):
    def encode(self, x):
        if Path("broken").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(x)


class Transient(Own):
    def fault(self):
        job = Path(f"tried-{sys.argv[1]}")
        if not job.exists():
            job.touch()
            raise RuntimeError("CUDA out of memory")
"""


def told(done):
    """(rule, run) of each job that a call has Snakemake run, or would in a dry run; (rule, "") where it has no run."""
    found, rule = [], ""
    for line in (done.stdout + done.stderr).splitlines():
        if match := re.match(r"(?:local)?rule (\w+):", line):
            rule = match[1]
            if rule not in ("train", "evaluate", "contract", "reference", "all"):
                found.append((rule, ""))
        elif match := re.match(r"\s+wildcards: (?:run|problem)=([^,]+)", line):
            found.append((rule, match[1].strip()))
    return found


def planned(folder, *call):
    """The jobs of a dry run, rules without a run by name alone."""
    done = snakemake(folder, "--dry-run", *(call or CALL))
    assert done.returncode == 0, done.stderr[-2000:]
    return {" ".join(job).strip() for job in told(done)}


def damage(path):
    """Change one byte and keep the time stamps: Snakemake cannot see it."""
    state, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def contents(folder):
    """Weights, arrays and metric values, by file."""
    found = {}
    for path in sorted(folder.glob("results/smoke/*/seed0/*")):
        if path.suffix == ".safetensors":
            found[str(path.relative_to(folder))] = path.read_bytes()
        elif path.suffix == ".json" and path.stem not in ("run", "trained", "metrics"):
            results = json.loads(path.read_text())["results"]
            found[str(path.relative_to(folder))] = [(r["status"], r["value"]) for r in results]
    return found


def own_runs(folder, **classes):
    """Runs of the 4-point data by classes of OWN."""
    supervise = folder / "benchmarks" / "jobs" / "supervise.py"
    supervise.write_text(supervise.read_text().replace("ATTEMPTS = 4", "ATTEMPTS = 2"))  # to save time
    (folder / "mine.py").write_text(OWN)
    lines = [f"{run}: {{method: mine.py:{name}, like: vae-4-point}}\n" for run, name in classes.items()]
    (folder / "mine.yml").write_text("".join(lines))
    return ("--config", "profile=smoke", "runs=mine.yml", "compare=avb-table-1")


def status_of(folder, run):
    """(status, reason) of a training."""
    record = json.loads((folder / f"results/smoke/{run}/seed0/run.json").read_text())
    return record["status"], record["reason"]
