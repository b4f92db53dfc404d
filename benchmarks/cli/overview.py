"""Commands that start nothing: check, list, data, status, plan, doctor."""

import argparse
import os
from pathlib import Path

from benchmarks.cli.common import Add, suite_of
from benchmarks.config.models import Dataset, dataset_named, load_file


def check(arguments: argparse.Namespace) -> int:
    """Check every file and count the jobs, without starting any."""
    suite = suite_of(arguments)
    runs, cells = len(suite.wanted), sum(len(j.metrics) for j in suite.jobs.values())
    print(f"profile {suite.name}: {runs} runs, {len(suite.jobs)} trainings, {cells} metrics: all consistent")
    return 0


def list_(arguments: argparse.Namespace) -> int:
    """List every method with its paper, equations, players, capabilities and file, or every metric."""
    from benchmarks.config.method_cards import listing, metrics_markdown

    print(
        metrics_markdown()
        if arguments.metrics
        else listing(arguments.markdown, Path(arguments.runs) if arguments.runs else None)
    )
    return 0


def data(arguments: argparse.Namespace) -> int:
    """Fetch or check one dataset (a name or folder:<path>); without a name, list them all."""
    from benchmarks.cli.inventory import list_data
    from benchmarks.data.datasets import load_arrays
    from benchmarks.hardware.host import data_root

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


def status(arguments: argparse.Namespace) -> int:
    """Say of each run (with --all each seed and metric) what is fresh, stale and why, missing, failed or not run."""
    from benchmarks.plan.staleness import Freshness, by_run, counts

    fresh = Freshness(suite_of(arguments))
    cells = [cell for state in fresh.jobs.values() for cell in state.cells]
    lines = [cell.line() for cell in cells] if arguments.all else by_run(cells)
    lines += [f"reference {problem}: {why}" for problem, why in fresh.problems.items() if why]
    print("\n".join([*lines, f"profile {arguments.profile}: {len(cells)} cells: {counts(cells)}"]))
    return 0


def plan(arguments: argparse.Namespace) -> int:
    """Count the jobs to do and estimate their time and energy from what was measured on this machine."""
    from benchmarks.plan.forecast import plan as make
    from benchmarks.statistics import power

    suite = suite_of(arguments)
    found, powers = make(suite), power.of_claims(suite)
    if arguments.all:
        print("\n".join(job.line() for job in found.todo))
    print("\n".join([found.jobs(), found.time(arguments.cores), found.energy(), *found.sources()]))
    known = {name: of for name, of in powers.items() if of.power is not None}
    enough = sum((of.power or 0.0) >= power.WANTED for of in known.values())
    print(
        f"claims: the paper's own effect and its spread are known for {len(known)} of {len(powers)}; with the seeds of "
        f"this profile {enough} of them would be found with {power.WANTED:.0%} or more"
    )
    shown = powers if arguments.claims else known
    print("\n".join(f"claim {name}: {of.line}" for name, of in shown.items()))
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """List what this machine has and what is missing, with sizes, checksums and where to put it."""
    from benchmarks.cli import inventory
    from benchmarks.data.image_files import cache_root
    from benchmarks.hardware.host import data_root

    found = [*inventory.packages(), *inventory.hardware(), *inventory.tools()]
    found += [*inventory.folders(cache_root()), *inventory.locks()]
    print("\n".join(finding.line for finding in found))
    root = data_root(arguments.data_root)
    inventory.list_data(root, load_file("datasets.yml", Dataset))
    inventory.list_weights(root)
    wrong = [finding for finding in found if finding.advice]
    for finding in wrong:
        print(f"{'WRONG' if finding.essential else 'note'}: {finding.line}: {finding.advice}")
    essential = any(finding.essential for finding in wrong)
    print("profile quick cannot run here" if essential else "profile quick can run here")
    return int(essential)


def register(add: Add) -> None:
    """The commands and their options."""
    add(check)
    add(doctor)
    add(status).add_argument("--all", action="store_true", help="each run, seed and metric")
    options = add(plan)
    options.add_argument(
        "--claims", action="store_true", help="power of every claim, not of those alone with a known effect"
    )
    options.add_argument("--cores", type=int, default=os.cpu_count(), help="for the wall time (default: all)")
    options.add_argument("--all", action="store_true", help="each run and seed")
    listed = add(list_)
    listed.add_argument("--markdown", action="store_true", help="the table in README.md")
    listed.add_argument("--metrics", action="store_true", help="the table in docs/protocols.md")
    add(data).add_argument("name", nargs="?")
