# What every rule shares: the checked suite, paths, and the options that a command line repeats.
import sys

from benchmarks.definitions import gpus_per_job, use_data_root
from benchmarks.errors import SuiteError, unknown
from benchmarks.suite import Suite

PROFILE = str(config.get("profile", "quick"))
RUNS = str(config.get("runs", ""))
ONLY = str(config.get("only", "")).replace(",", " ").split()
DATA_ROOT = config.get("data_root", "")

try:
    for key in config:
        if key not in ("profile", "runs", "only", "data_root"):
            raise unknown(
                "--config", "key", key, ("profile", "runs", "only", "data_root")
            )
    SUITE = Suite(PROFILE, Path(RUNS) if RUNS else None, ONLY)
    use_data_root(DATA_ROOT)
    JOBS = SUITE.jobs
except SuiteError as error:
    sys.exit(f"error: {error}")

FOLDER = f"results/{PROFILE}"
GPU = gpus_per_job()
TRAINED = [f"{FOLDER}/{folder}/run.json" for folder in JOBS]
EVALUATED = [f"{FOLDER}/{folder}/metrics.json" for folder in JOBS]
REFERENCES = [f"{FOLDER}/references/{name}.json" for name in SUITE.problems]


wildcard_constraints:
    run="[^/]+",
    seed=r"\d+",
