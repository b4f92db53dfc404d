"""Commands of the rules that compute: train, evaluate, reference."""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.commands.common import Add, job_folder, locked, suite_of, tune_process
from benchmarks.commands.own import bring
from benchmarks.errors import SuiteError, unknown
from benchmarks.machine.gpu_lease import lease
from benchmarks.suite import Suite

REFERENCES = {
    "quick": {"exact": 100_000, "hmc_draws": 60_000, "warmup": 500, "chains": 40, "thin": 6},
    "smoke": {"exact": 20_000, "hmc_draws": 4_000, "warmup": 200, "chains": 20, "thin": 2},
    "full": {"exact": 500_000, "hmc_draws": 500_000, "warmup": 2000, "chains": 40, "thin": 25},
}


def specification_of(arguments: argparse.Namespace, suite: Suite, which: str) -> dict[str, Any]:
    """Specification or metrics of the job on the command line."""
    if arguments.run not in suite.wanted:
        suite.own.add(arguments.run) if arguments.run in suite.runs else None
        suite.__dict__.pop("wanted", None)
    if arguments.run not in suite.wanted:
        raise unknown("command line", "run", arguments.run, suite.runs)
    return suite.metric_options(arguments.run) if which == "metrics" else suite.specification(arguments.run)


def check_options(arguments: argparse.Namespace) -> None:
    """SuiteError unless device, seed and threads can be."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", arguments.device):
        raise SuiteError(f"command line: --device (or VGB_DEVICE) is {arguments.device!r}; use auto, cpu or cuda")
    for name, least in (("seed", 0), ("threads", 1)):
        if getattr(arguments, name) < least:
            raise SuiteError(f"command line: --{name} is {getattr(arguments, name)}; it must be at least {least}")


def train(arguments: argparse.Namespace) -> int:
    """Train one run and seed and compute what can be computed of it; continues where a killed one stopped."""
    check_options(arguments)
    suite = suite_of(arguments)
    specification = specification_of(arguments, suite, "specification")
    folder = job_folder(arguments)
    with locked(folder), lease(arguments.device) as device:
        tune_process(arguments.threads)
        from benchmarks.jobs import execute
        from benchmarks.machine.host import data_root
        from methods.train import Interrupted

        try:
            record = execute.train(
                specification,
                arguments.seed,
                arguments.profile,
                folder,
                root=data_root(arguments.data_root),
                device_name=device,
                code=suite.code(arguments.run),
                checkpoint_seconds=arguments.checkpoint_seconds,
            )
        except Interrupted as reason:
            print(reason, file=sys.stderr)
            return 130
        print(f"{record.run} seed {record.seed}: {record.status} {record.reason}".rstrip(), file=sys.stderr)
        if record.status == "ok":
            compute_early(arguments, suite, folder, device)
    return 0


def compute_early(arguments: argparse.Namespace, suite: Suite, folder: Path, device: str) -> None:
    """The metrics that wait for no other job, while torch is in memory: loading it takes longer than most of them."""
    from benchmarks import catalogue
    from benchmarks.jobs import evaluate
    from benchmarks.machine.host import data_root

    metrics = specification_of(arguments, suite, "metrics")
    if not all(Path(file).exists() for file in suite.reference_files(arguments.run)):
        others = {"classifier", "problem", "sample"}  # samples are drawn once, for all metrics of a process
        metrics = {n: e for n, e in metrics.items() if not others & set(catalogue.metrics()[n].literals["needs"])}
    references = job_folder(arguments).parents[1] / "references"
    root = data_root(arguments.data_root)
    evaluate.compute(metrics, folder, root=root, references=references, device_name=device)


def evaluate(arguments: argparse.Namespace) -> int:
    """Compute the metrics of one trained run and seed that are not there yet; of a file, those of a table."""
    if arguments.name is not None or Path(arguments.run).is_file():
        return bring(arguments)
    from benchmarks.jobs import metric_files
    from benchmarks.records import RunRecord, read

    check_options(arguments)
    metrics = specification_of(arguments, suite_of(arguments), "metrics")
    folder = job_folder(arguments)
    references = folder.parents[1] / "references"
    with locked(folder):
        found = metric_files.finish_if_current(metrics, folder, references)
        if found is None:
            with lease(arguments.device) as device:
                tune_process(arguments.threads)
                from benchmarks.jobs.evaluate import compute
                from benchmarks.machine.host import data_root

                root = data_root(arguments.data_root)
                statuses = compute(metrics, folder, root=root, references=references, device_name=device)
            found = metric_files.finish(read(folder / "run.json", RunRecord), folder, statuses)
    print(json.dumps(found.metrics), file=sys.stderr)
    return 0


def reference(arguments: argparse.Namespace) -> int:
    """Make the reference draws of a problem."""
    suite = suite_of(arguments)
    if arguments.problem not in suite.problems:
        raise unknown("command line", "problem", arguments.problem, suite.problems)
    tune_process(arguments.threads)
    from benchmarks.records import write_json
    from benchmarks.references.draws import make_reference

    budget = {"quick": "quick", "quick-seeds": "quick", "smoke": "smoke"}.get(arguments.profile, "full")
    folder = Path("results") / arguments.profile / "references"
    with locked(folder / f".{arguments.problem}"):
        found = make_reference(arguments.problem, folder, REFERENCES[budget])
        write_json(folder / f"{arguments.problem}.json", {**found, "code": Suite.reference_code()})
    return 0


def register(add: Add) -> None:
    """The commands and their options."""
    for command in (train, evaluate):
        options = add(command)
        options.add_argument("run", help="a run" + ("; or samples.npz, images, weights" if command is evaluate else ""))
        options.add_argument("--seed", type=int, default=0)
        options.add_argument("--device", default=os.environ.get("VGB_DEVICE", "auto"), help="auto, cpu, cuda or cuda:N")
        options.add_argument("--threads", type=int, default=1)
        if command is train:
            options.add_argument("--checkpoint-seconds", type=float, default=60.0)
        else:
            options.add_argument("--as", dest="name", help="the row's name, for a file from elsewhere")
            options.add_argument("--table", help="the table whose metrics and rows it gets")
            options.add_argument("--dataset", help="the dataset of the images, where the table has several")
            options.add_argument("--run", dest="like", help="the run whose networks the weights are of")
    options = add(reference)
    options.add_argument("problem")
    options.add_argument("--threads", type=int, default=1)
