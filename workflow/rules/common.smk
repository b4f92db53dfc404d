# What every rule shares: the checked suite, paths, and the options that a command line repeats.
import os
import sys

from benchmarks.errors import SuiteError, unknown
from benchmarks.suite import Suite

PROFILE = config.get("profile", "quick")
RUNS = config.get("runs", "")
ONLY = str(config.get("only", "")).replace(",", " ").split()
DATA_ROOT = config.get("data_root", "")

try:
    for key in config:
        if key not in ("profile", "runs", "only", "data_root"):
            raise unknown(
                "--config", "key", key, ("profile", "runs", "only", "data_root")
            )
    SUITE = Suite(PROFILE, Path(RUNS) if RUNS else None, ONLY)
    JOBS = SUITE.jobs
except SuiteError as error:
    sys.exit(f"error: {error}")

FOLDER = f"results/{PROFILE}"
# the command's options: which runs file only where it matters, so that adding one reruns nothing else
OWN = f" --runs {RUNS}" if RUNS else ""
CHOICE = f"--profile {PROFILE}{OWN}" + (f" --only {' '.join(ONLY)}" if ONLY else "")
if DATA_ROOT:
    os.environ["VGB_DATA_ROOT"] = str(DATA_ROOT)
TRAINED = [f"{FOLDER}/{folder}/run.json" for folder in JOBS]
EVALUATED = [f"{FOLDER}/{folder}/metrics.json" for folder in JOBS]
REFERENCES = [f"{FOLDER}/references/{name}.json" for name in SUITE.problems]


wildcard_constraints:
    run="[^/]+",
    seed=r"\d+",


def job_of(wildcards):
    return f"{wildcards.run}/seed{wildcards.seed}"


def options_of(wildcards):
    return f"--profile {PROFILE}" + (OWN if wildcards.run in SUITE.from_file else "")
