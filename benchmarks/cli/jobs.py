"""Commands of the rules that compute: train, evaluate, reference."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.cli.common import FAILED, Add, job_folder, locked, suite_of, tune_process
from benchmarks.cli.contract import bring
from benchmarks.errors import SuiteError, unknown
from benchmarks.hardware.gpu_lease import check_device, lease
from benchmarks.jobs import failures
from benchmarks.plan.suite import Suite


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
    check_device(arguments.device)
    for name, least in (("seed", 0), ("threads", 1)):
        if getattr(arguments, name) < least:
            raise SuiteError(f"command line: --{name} is {getattr(arguments, name)}; it must be at least {least}")


def train(arguments: argparse.Namespace) -> int:
    """Train one run and seed and compute what can be computed of it; continues where a killed one stopped."""
    check_options(arguments)
    suite = suite_of(arguments)
    specification = specification_of(arguments, suite, "specification")
    folder = job_folder(arguments)
    if arguments.failed:
        with locked(folder):
            return failures.training(suite, arguments, specification, folder)
    with locked(folder), lease(arguments.device) as device:
        tune_process(arguments.threads)
        from benchmarks.hardware.devices import choose_device
        from benchmarks.hardware.host import data_root
        from benchmarks.jobs import again, training
        from methods.training.trainer import Interrupted

        choose_device(device)  # before anything is written
        options = {
            "root": data_root(arguments.data_root),
            "device_name": device,
            "code": suite.code(arguments.run),
            "checkpoint_seconds": arguments.checkpoint_seconds,
        }
        metrics = specification_of(arguments, suite, "metrics")
        try:
            if arguments.again:
                found = again.run(specification, arguments.seed, arguments.profile, folder, metrics, options)
                print("\n".join(found.lines))
                return int(not found.equal)
            record = training.train(specification, arguments.seed, arguments.profile, folder, **options)
        except Interrupted as reason:
            print(reason, file=sys.stderr)
            return 130
        print(f"{record.run} seed {record.seed}: {record.status} {record.reason}".rstrip(), file=sys.stderr)
        if record.status == "ok":
            compute_early(arguments, suite, folder, device)
    return 0


def compute_early(arguments: argparse.Namespace, suite: Suite, folder: Path, device: str) -> None:
    """The metrics that wait for no other job, while torch is in memory: loading it takes longer than most of them."""
    from benchmarks.config import declarations
    from benchmarks.hardware.host import data_root
    from benchmarks.jobs import evaluate

    metrics = specification_of(arguments, suite, "metrics")
    if not all(Path(file).exists() for file in suite.reference_files(arguments.run)):
        others = {"classifier", "problem", "sample"}  # samples are drawn once, for all metrics of a process
        metrics = {n: e for n, e in metrics.items() if not others & set(declarations.metrics()[n].literals["needs"])}
    references = job_folder(arguments).parents[1] / "references"
    root = data_root(arguments.data_root)
    evaluate.compute(metrics, folder, root=root, references=references, device_name=device)


def evaluate(arguments: argparse.Namespace) -> int:
    """Compute the metrics of one trained run and seed that are not there yet; of a file, those of a table."""
    if arguments.name is not None or Path(arguments.run).is_file():
        return bring(arguments)
    from benchmarks.store import metric_files
    from benchmarks.store.records import RunRecord, read

    check_options(arguments)
    metrics = specification_of(arguments, suite_of(arguments), "metrics")
    folder = job_folder(arguments)
    references = folder.parents[1] / "references"
    if arguments.failed:
        with locked(folder):
            return failures.evaluation(metrics, folder, references, arguments.failed)
    with locked(folder):
        found = metric_files.finish_if_current(metrics, folder, references)
        if found is None:
            with lease(arguments.device) as device:
                tune_process(arguments.threads)
                from benchmarks.hardware.devices import choose_device
                from benchmarks.hardware.host import data_root
                from benchmarks.jobs.evaluate import compute

                choose_device(device)
                root = data_root(arguments.data_root)
                statuses = compute(metrics, folder, root=root, references=references, device_name=device)
            found = metric_files.finish(read(folder / "run.json", RunRecord), folder, statuses)
    print(json.dumps(found.metrics), file=sys.stderr)
    return 0


def reference(arguments: argparse.Namespace) -> int:
    """Make the reference draws of a problem; a failure is a record."""
    suite = suite_of(arguments)
    if arguments.problem not in suite.problems:
        raise unknown("command line", "problem", arguments.problem, suite.problems)
    folder = Path("results") / arguments.profile / "references"
    if arguments.failed:
        return failures.reference(suite, arguments.problem, folder, arguments.failed)
    tune_process(arguments.threads)
    from benchmarks.jobs.reference import record_reference

    with locked(folder / f".{arguments.problem}"):
        definition = suite.datasets[arguments.problem]
        code = suite.reference_code(arguments.problem)
        options = suite.profile.reference
        record = record_reference(arguments.problem, folder, options, code, definition.sampler)
    print(f"reference {record.problem}: {record.status} {record.reason}".rstrip(), file=sys.stderr)
    return 0


def register(add: Add) -> None:
    """The commands and their options."""
    device = os.environ.get("VGB_DEVICE") or "auto"
    for command in (train, evaluate):
        options = add(command)
        options.add_argument("run", help="a run" + ("; or samples.npz, images, weights" if command is evaluate else ""))
        options.add_argument("--seed", type=int, default=0)
        options.add_argument("--device", default=device, help="auto, cpu, cuda or cuda:N (default: VGB_DEVICE)")
        options.add_argument("--threads", type=int, default=1)
        options.add_argument("--failed", metavar="REASON", help=FAILED)
        if command is train:
            options.add_argument("--checkpoint-seconds", type=float, default=60.0)
            options.add_argument(
                "--again", action="store_true", help="train anew elsewhere and compare; changes nothing"
            )
        else:
            options.add_argument("--as", dest="name", help="the row's name, for a file from elsewhere")
            options.add_argument("--table", help="the table whose metrics and rows it gets")
            options.add_argument("--dataset", help="the dataset of the images, where the table has several")
            options.add_argument("--run", dest="like", help="the run whose networks the weights are of")
    options = add(reference)
    options.add_argument("problem")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--failed", metavar="REASON", help=FAILED)
