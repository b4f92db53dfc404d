"""`python -m benchmarks`: the commands that the rules run, and that a person can paste."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.config import Dataset, dataset_named, load_file
from benchmarks.errors import SuiteError
from benchmarks.suite import Suite

REFERENCES = {
    "quick": {"exact": 100_000, "hmc_draws": 60_000, "warmup": 500, "chains": 40, "thin": 6},
    "smoke": {"exact": 20_000, "hmc_draws": 4_000, "warmup": 200, "chains": 20, "thin": 2},
    "full": {"exact": 500_000, "hmc_draws": 500_000, "warmup": 2000, "chains": 40, "thin": 25},
}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a second process waits and says for whom."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            print(f"{folder} is in use by process {file.read().strip() or '?'}: waiting", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def tune_process(threads: int) -> None:
    """Tell the numerical libraries how many cores the job has, and glibc to keep the memory of freed tensors.

    By default glibc returns each large block to the kernel at once, and a quarter of a small network's training
    step goes into page faults.
    """
    import ctypes

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    import torch

    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent outside glibc
    if mallopt is not None:
        for parameter, value in ((-1, 1 << 30), (-2, 64 << 20), (-3, 32 << 20)):  # trim and mmap thresholds, top pad
            mallopt(parameter, value)


def suite_of(arguments: argparse.Namespace) -> Suite:
    """The suite that the common options describe."""
    return Suite(arguments.profile, Path(arguments.runs) if arguments.runs else None, arguments.only or None)


def job_folder(arguments: argparse.Namespace) -> Path:
    """results/<profile>/<run>/seed<k>."""
    return Path("results") / arguments.profile / arguments.run / f"seed{arguments.seed}"


def specification_of(arguments: argparse.Namespace, suite: Suite, which: str) -> dict[str, Any]:
    """Specification or metrics of the job on the command line."""
    from benchmarks.errors import unknown

    if arguments.run not in suite.wanted:
        suite.own.add(arguments.run) if arguments.run in suite.runs else None
        suite.__dict__.pop("wanted", None)
    if arguments.run not in suite.wanted:
        raise unknown("command line", "run", arguments.run, suite.runs)
    return suite.metric_options(arguments.run) if which == "metrics" else suite.specification(arguments.run)


def check(arguments: argparse.Namespace) -> int:
    """Check every file and count the jobs, without starting any."""
    suite = suite_of(arguments)
    runs, cells = len(suite.wanted), sum(len(j.metrics) for j in suite.jobs.values())
    print(f"profile {suite.name}: {runs} runs, {len(suite.jobs)} trainings, {cells} metrics: all consistent")
    return 0


def train(arguments: argparse.Namespace) -> int:
    """Train one run and seed and compute what can be computed of it; continues where a killed one stopped."""
    tune_process(arguments.threads)
    from benchmarks import execute
    from benchmarks.datasets import data_root
    from methods.train import Interrupted

    suite = suite_of(arguments)
    folder = job_folder(arguments)
    with locked(folder):
        try:
            record = execute.train(
                specification_of(arguments, suite, "specification"),
                arguments.seed,
                arguments.profile,
                folder,
                root=data_root(arguments.data_root),
                device_name=arguments.device,
                code=suite.code(arguments.run),
                checkpoint_seconds=arguments.checkpoint_seconds,
            )
        except Interrupted as reason:
            print(reason, file=sys.stderr)
            return 130
        print(f"{record.run} seed {record.seed}: {record.status} {record.reason}".rstrip(), file=sys.stderr)
        if record.status == "ok":
            compute_early(arguments, suite, folder)
    return 0


def compute_early(arguments: argparse.Namespace, suite: Suite, folder: Path) -> None:
    """The metrics that wait for no other job, while torch is in memory: loading it takes longer than most of them."""
    from benchmarks import catalogue, evaluate
    from benchmarks.datasets import data_root

    metrics = specification_of(arguments, suite, "metrics")
    if not all(Path(file).exists() for file in suite.reference_files(arguments.run)):
        others = {"classifier", "problem", "sample"}  # samples are drawn once, for all metrics of a process
        metrics = {n: e for n, e in metrics.items() if not others & set(catalogue.metrics()[n].literals["needs"])}
    references = job_folder(arguments).parents[1] / "references"
    root = data_root(arguments.data_root)
    evaluate.compute(metrics, folder, root=root, references=references, device_name=arguments.device)


def evaluate(arguments: argparse.Namespace) -> int:
    """Compute the metrics of one trained run and seed that are not there yet."""
    from benchmarks import metric_files
    from benchmarks.records import RunRecord, read

    metrics = specification_of(arguments, suite_of(arguments), "metrics")
    folder = job_folder(arguments)
    references = folder.parents[1] / "references"
    with locked(folder):
        found = metric_files.finish_if_current(metrics, folder, references)
        if found is None:
            tune_process(arguments.threads)
            from benchmarks.datasets import data_root
            from benchmarks.evaluate import compute

            root = data_root(arguments.data_root)
            statuses = compute(metrics, folder, root=root, references=references, device_name=arguments.device)
            found = metric_files.finish(read(folder / "run.json", RunRecord), folder, statuses)
    print(json.dumps(found.metrics), file=sys.stderr)
    return 0


def reference(arguments: argparse.Namespace) -> int:
    """Make the reference draws of a problem."""
    tune_process(arguments.threads)
    from benchmarks.records import write_text
    from benchmarks.references.draws import make_reference

    budget = {"quick": "quick", "quick-seeds": "quick", "smoke": "smoke"}.get(arguments.profile, "full")
    folder = Path("results") / arguments.profile / "references"
    with locked(folder / f".{arguments.problem}"):
        found = make_reference(arguments.problem, folder, REFERENCES[budget])
        write_text(folder / f"{arguments.problem}.json", json.dumps(found, indent=1) + "\n")
    return 0


def collect(arguments: argparse.Namespace) -> int:
    """Gather all records into results.parquet and results.csv."""
    from benchmarks.report.frame import collect as run

    run(suite_of(arguments))
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Render tables, figures, claims and the page."""
    from benchmarks.report.page import render

    print(render(suite_of(arguments)), file=sys.stderr)
    return 0


def verdict(arguments: argparse.Namespace) -> int:
    """List failed cells and set their records aside, so that the next call tries them again."""
    from benchmarks.report.frame import set_failures_aside

    failures = set_failures_aside(suite_of(arguments))
    for line in failures:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failures else 0


def data(arguments: argparse.Namespace) -> int:
    """Fetch or check one dataset (a name or folder:<path>); without a name, list them all."""
    from benchmarks.datasets import data_root, load_arrays
    from benchmarks.inventory import list_data

    root, known = data_root(arguments.data_root), load_file("datasets.yml", Dataset)
    if arguments.name is None:
        list_data(root, known)
        return 0
    definition = dataset_named("command line", arguments.name, known)
    if definition.kind == "images":
        found = load_arrays(arguments.name, definition, root)
        sizes = f"{len(found.train_x):,} + {len(found.test_x):,}"
        print(f"{arguments.name}: {sizes} images of shape {found.train_x.shape[1:]}")
    return 0


def list_(arguments: argparse.Namespace) -> int:
    """List every method with its paper, equations, players, capabilities and file."""
    from benchmarks.systems import listing

    print(listing(arguments.markdown, Path(arguments.runs) if arguments.runs else None))
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """List what this machine has and what is missing, with sizes, checksums and where to put it."""
    from importlib.util import find_spec

    from benchmarks.datasets import data_root
    from benchmarks.inventory import list_data, list_weights

    root = data_root(arguments.data_root)
    list_data(root, load_file("datasets.yml", Dataset))
    list_weights(root)
    for package in ("torch", "torchvision", "snakemake", "numpyro", "arviz", "pytorch_fid"):
        print(f"  {package}: {'installed' if find_spec(package) else 'MISSING: pip install -c constraints.txt -e .'}")
    import torch

    print(f"  GPU: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none seen by PyTorch'}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    every: list[Callable[[argparse.Namespace], int]] = [
        check, train, evaluate, reference, collect, report, verdict, data, list_, doctor,
    ]  # fmt: skip
    for function in every:
        sub = commands.add_parser(function.__name__.rstrip("_"), help=(function.__doc__ or "").splitlines()[0])
        sub.set_defaults(function=function)
        sub.add_argument("--profile", default="quick", help="smoke, quick, quick-seeds, laptop or paper")
        sub.add_argument("--runs", help="a YAML file with runs of your own")
        sub.add_argument("--only", nargs="*", help="tables, figures, claims or runs")
        sub.add_argument("--data-root", help="folder of downloaded data (default: VGB_DATA_ROOT or data/)")
        if function in (train, evaluate):
            sub.add_argument("run")
            sub.add_argument("--seed", type=int, default=0)
            sub.add_argument("--device", default=os.environ.get("VGB_DEVICE", "auto"), help="auto, cpu or cuda")
        if function in (train, evaluate, reference):
            sub.add_argument("--threads", type=int, default=1)
        if function is train:
            sub.add_argument("--checkpoint-seconds", type=float, default=60.0)
        if function is reference:
            sub.add_argument("problem")
        if function is list_:
            sub.add_argument("--markdown", action="store_true", help="the table in README.md")
        if function is data:
            sub.add_argument("name", nargs="?")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; a SuiteError is one line on standard error and exit status 2."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.function(arguments)
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        from benchmarks.errors import NotRunError

        if isinstance(error, NotRunError):
            print(f"not run: {error}", file=sys.stderr)
            return 3
        raise
