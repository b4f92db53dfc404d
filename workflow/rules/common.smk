# Shared by all: the checked suite, paths, and the options that a command line repeats.
import sys
from functools import cache

from benchmarks.commands.common import split
from benchmarks.definitions import gpus_per_job, use_data_root
from benchmarks.errors import SuiteError, unknown
from benchmarks.jobs.resources import limits
from benchmarks.suite import Suite

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
except SuiteError as error:
    sys.exit(f"error: {error}")

FOLDER = f"results/{PROFILE}"
GPU = gpus_per_job()
RETRIES = (
    3 if workflow.is_main_process else 0
)  # a cluster's job parses this too: attempts would multiply
TRAINED = [f"{FOLDER}/{folder}/run.json" for folder in JOBS]
EVALUATED = [f"{FOLDER}/{folder}/metrics.json" for folder in JOBS]
CONTRACTS = [f"{FOLDER}/{run}/contract.json" for run in sorted(SUITE.from_file)]
REFERENCES = [f"{FOLDER}/references/{name}.json" for name in SUITE.problems]


# What a job is told of its run: asked several times for each job, and the same for all seeds.
options_of, specification_of, metrics_of, code_of, references_of = map(
    cache,
    (
        SUITE.command_options,
        SUITE.specification_json,
        SUITE.metrics_json,
        SUITE.code,
        SUITE.reference_files,
    ),
)


@cache
def limits_of(run):
    return limits(SUITE.specification(run), SUITE.dataset_of(run)[1])


def memory_of(run, attempt):
    """MiB: doubled once, since an attempt may have failed for want of memory."""
    return min(attempt, 2) * limits_of(run).mem_mb


def shown(name, item, kind, suffix):
    """A file beside the page which `snakemake --report` takes too, with its caption."""
    labels = {"number": item.number, "shows": item.title}
    return report(
        f"reports/{PROFILE}/{name}.{suffix}",
        caption=f"../report/{kind}.rst",
        category=item.paper,
        subcategory=f"{kind.capitalize()}s",
        labels=labels,
    )


wildcard_constraints:
    run="[^/]+",
    seed=r"\d+",
