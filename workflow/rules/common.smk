# Shared by all: the checked suite, paths, options that a command line repeats, and what is to be made again.
import os
import sys
from functools import cache

from benchmarks.cli.common import split
from benchmarks.plan.definitions import gpus_per_job, use_data_root
from benchmarks.errors import SuiteError, unknown
from benchmarks.plan.resources import limits
from benchmarks.jobs.supervise import ATTEMPTS
from benchmarks.plan.staleness import Freshness
from benchmarks.hardware.gpu_lease import check_device
from benchmarks.plan.suite import Suite

PROFILE = str(config.get("profile", "quick"))
RUNS = str(config.get("runs", ""))
ONLY, COMPARE = (split([str(config.get(key, ""))]) for key in ("only", "compare"))
KEYS = ("profile", "runs", "only", "compare", "data_root")
DATA_ROOT = config.get("data_root", "")

try:
    for key in config:
        if key not in KEYS:
            raise unknown("--config", "key", key, KEYS)
    SUITE = Suite(PROFILE, Path(RUNS) if RUNS else None, ONLY, COMPARE)
    use_data_root(DATA_ROOT)
    JOBS = SUITE.jobs
    if workflow.local_exec:
        check_device(os.environ.get("VGB_DEVICE") or "auto")
    # Snakemake sees missing files and time stamps. What failed, or is stale or damaged, it is told with each job.
    AGAIN = Freshness(SUITE).again() if workflow.is_main_process else {}
except (SuiteError, OSError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)

FOLDER = f"results/{PROFILE}"
GPU = gpus_per_job()
RETRIES = (
    ATTEMPTS - 1 if workflow.is_main_process else 0
)  # a cluster's job parses this too: attempts would multiply
TRAINED = [f"{FOLDER}/{folder}/run.json" for folder in JOBS]
EVALUATED = [f"{FOLDER}/{folder}/metrics.json" for folder in JOBS]
CONTRACTS = [f"{FOLDER}/{run}/contract.json" for run in sorted(SUITE.from_file)]
REFERENCES = [f"{FOLDER}/references/{name}.json" for name in SUITE.problems]
RESULTS = [f"{FOLDER}/results.{suffix}" for suffix in ("parquet", "csv", "json")]
TABLES = {f"{SUITE.reports}/{name}.html": table for name, table in SUITE.tables.items()}
FIGURES = {
    f"{SUITE.reports}/{name}.png": figure for name, figure in SUITE.figures.items()
}
PAGE = f"{SUITE.reports}/index.html"
SELECTION = f"-{SUITE.reports.name}" if ONLY or COMPARE else ""
VERDICT = f"{FOLDER}/.verdict{SELECTION}"


# What a job is told of its run: asked several times for each job, and the same for all seeds.
options_of, references_of = map(cache, (SUITE.command_options, SUITE.reference_files))


@cache
def limits_of(run):
    return limits(SUITE.specification(run), SUITE.dataset_of(run)[1])


def memory_of(run, attempt):
    """MiB: doubled once, since an attempt may have failed for want of memory."""
    return min(attempt, 2) * limits_of(run).mem_mb


def shown(file, item, kind):
    """A file beside the page which `snakemake --report` takes too, with its caption."""
    return report(
        update(file),
        caption=f"../report/{kind}.rst",
        category=item.paper,
        subcategory=f"{kind.capitalize()}s",
        labels={"number": item.number, "shows": item.title},
    )


def again(file):
    """An input function that gives no file: has Snakemake make the rule's output anew where AGAIN has it."""

    def tell(wildcards):
        made = file.format(**dict(wildcards.items()))
        if made in AGAIN:
            workflow.dag.forcefiles.add(made)
        return []

    return tell


wildcard_constraints:
    run="[^/]+",
    seed=r"\d+",
