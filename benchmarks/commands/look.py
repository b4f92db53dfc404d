"""Commands that start nothing: check, list, data, doctor."""

import argparse
from pathlib import Path

from benchmarks.commands.common import Add, suite_of
from benchmarks.config import Dataset, dataset_named, load_file


def check(arguments: argparse.Namespace) -> int:
    """Check every file and count the jobs, without starting any."""
    suite = suite_of(arguments)
    runs, cells = len(suite.wanted), sum(len(j.metrics) for j in suite.jobs.values())
    print(f"profile {suite.name}: {runs} runs, {len(suite.jobs)} trainings, {cells} metrics: all consistent")
    return 0


def list_(arguments: argparse.Namespace) -> int:
    """List every method with its paper, equations, players, capabilities and file, or every metric."""
    from benchmarks.systems import listing, metrics_markdown

    print(
        metrics_markdown()
        if arguments.metrics
        else listing(arguments.markdown, Path(arguments.runs) if arguments.runs else None)
    )
    return 0


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


def register(add: Add) -> None:
    """The commands and their options."""
    add(check)
    add(doctor)
    listed = add(list_)
    listed.add_argument("--markdown", action="store_true", help="the table in README.md")
    listed.add_argument("--metrics", action="store_true", help="the table in docs/protocols.md")
    add(data).add_argument("name", nargs="?")
