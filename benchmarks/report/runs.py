"""What the page says of each run (protocol, cost, command, origin) and of each method (its card, from its literals)."""

import ast
import inspect
import json
import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas

from benchmarks.config import declarations, method_cards
from benchmarks.plan.suite import Suite
from benchmarks.report import compare, pictures
from benchmarks.report.compare import Cell
from benchmarks.report.faults import Faults
from benchmarks.statistics.setting import setting_of


@dataclass
class Mixture:
    """The origins of the trainings behind one table, where there is more than one: environments, or commits."""

    what: str  # environment or commit
    groups: dict[str, list[str]]  # origin -> a line for each run, with its seeds; most trainings first
    unrecorded: frozenset[str] = frozenset()  # the groups whose origin the records do not say

    @property
    def count(self) -> str:
        """`3 environments`; trainings whose origin was not recorded may be of any, and are not counted as one."""
        known = len(self.groups) - len(self.unrecorded)
        words = f"{known} {self.what}{'s' if known != 1 else ''}"
        return words if not self.unrecorded else f"{words} and some that was not recorded"


def trainings(frame: pandas.DataFrame) -> pandas.DataFrame:
    """A row for each finished training (run, seed) of the frame of results."""
    return frame.loc[frame.train_status == "ok"].drop_duplicates(["run", "seed"])


def seeds_in_words(seeds: list[int]) -> str:
    """`seed 0` or `seeds 0, 1`, in ascending order."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(str(seed) for seed in sorted(seeds))}"


def by_seed(rows: pandas.DataFrame, says: Callable[[Any], str]) -> str:
    """What `says` makes of the rows of one run, a row for each seed; where seeds differ, each answer with its seeds."""
    found: dict[str, list[int]] = {}
    row: Any
    for row in rows.itertuples():
        found.setdefault(says(row), []).append(int(row.seed))
    if len(found) < 2:
        return next(iter(found), "")
    return "; ".join(f"{text or 'unknown'} ({seeds_in_words(seeds)})" for text, seeds in found.items())


def commit_of(row: Any) -> str:
    """The commit of a training's code, ten digits of it, and whether files were changed since."""
    commit = str(row.commit)[:10] if pandas.notna(row.commit) and row.commit else "no commit recorded"
    changed = pandas.notna(row.dirty) and bool(row.dirty)
    return f"{commit} with uncommitted changes" if changed else commit


def environment_of(row: Any) -> str:
    """The environment of a training: ten digits of the hash of its packages, and the kind of device."""
    known = pandas.notna(row.environment_sha256) and row.environment_sha256
    packages = f"packages {row.environment_sha256[:10]}" if known else "packages not recorded"
    return f"{packages}, on {row.device}"


def mixtures(frame: pandas.DataFrame, grid: list[list[Cell]]) -> list[Mixture]:
    """Where the trainings behind a table's cells differ in environment (packages or device) or in code (commit).

    `frame` has the columns run, seed, train_status, environment_sha256, device, commit and dirty. Empty if all
    trainings have one origin. Trainings whose packages or commit were not recorded are a group of their own.
    """
    trained = trainings(frame.loc[frame.run.isin(compare.runs_of(grid))])
    found = []
    for what, column, origin in (
        ("environment", "environment_sha256", environment_of),
        ("commit", "commit", commit_of),
    ):
        groups: dict[str, dict[str, list[int]]] = {}
        unrecorded = set()
        row: Any
        for row in trained.itertuples():
            groups.setdefault(origin(row), {}).setdefault(row.run, []).append(int(row.seed))
            if pandas.isna(getattr(row, column)) or not getattr(row, column):
                unrecorded.add(origin(row))
        if len(groups) > 1:
            largest = sorted(groups.items(), key=lambda group: -sum(len(seeds) for seeds in group[1].values()))
            lines = {key: [f"{run}, {seeds_in_words(s)}" for run, s in sorted(of.items())] for key, of in largest}
            found.append(Mixture(what, lines, frozenset(unrecorded)))
    return found


def deviations(suite: Suite, run: str) -> list[str]:
    """How this profile's run differs from the paper's protocol, computed where it can be."""
    definition = suite.run(run)
    found = [*setting_of(suite, run).lines, *definition.deviations]
    ours, theirs = suite.train_options(run), definition.train.model_dump()
    for key in ("batch_size", "learning_rate", "betas", "decay_from", "precision"):
        if list(ours[key]) != list(theirs[key]) if isinstance(ours[key], tuple | list) else ours[key] != theirs[key]:
            found.append(f"{key} {json.dumps(ours[key])} instead of {json.dumps(theirs[key])}")
    budget = suite.budget(run)
    return found + ([budget.why] if budget.why else [])


def command(suite: Suite, run: str, seed: int = 0) -> str:
    """What trains the run again and compares, to be pasted into a shell."""
    options = ["--seed", str(seed), "--profile", suite.name]
    if run in suite.from_file:
        options += ["--runs", str(suite.extra_runs)]
    return shlex.join(["python", "-m", "benchmarks", "train", run, *options, "--again"])


def gpu_hours(rows: pandas.DataFrame) -> float | None:
    """Of all seeds together; None on a CPU."""
    on_gpu = rows.loc[rows.device.str.startswith("cuda")]
    return float(on_gpu.seconds.sum()) / 3600 if len(on_gpu) else None


def energy(rows: pandas.DataFrame) -> float | None:
    """Kilowatt hours of all seeds together; None where it could not be read."""
    known = [float(value) for value in rows["energy_kwh"].dropna()]
    return sum(known) if known else None


def energy_source(rows: pandas.DataFrame) -> str:
    """What energy was read from, and of how many of the seeds, where it could not be read of all."""
    text, known = by_seed(rows, lambda row: str(row.energy_source or "")), len(rows["energy_kwh"].dropna())
    return f"{text}; {known} of {len(rows)} seeds" if 0 < known < len(rows) else text


def entries(
    suite: Suite, frame: pandas.DataFrame, folder: Path, faults: Faults | None = None
) -> dict[str, dict[str, Any]]:
    """Run -> what the page says of it; writes learning curves."""
    faults, found = faults or Faults(), {}
    for run in sorted(suite.wanted):
        part, unknown = f"run {run}", dict.fromkeys(("share", "seconds", "rate", "memory", "gpu_hours", "energy"))
        texts = dict.fromkeys(("rounds", "energy_source", "hardware", "environment", "commit", "parameters"), "")
        base = {
            "method": suite.method_of(run).name,
            "dataset": suite.dataset_of(run)[0],
            "latent_dim": suite.latent_dim(run),
            "command": command(suite, run),
            "deviations": deviations(suite, run),
            "note": suite.run(run).note,
            "curves": faults.attempt(f"curves of {run}", partial(pictures.curves, suite, run, folder), []),
        }
        lost = {**unknown, **texts, "status": "failed", "seeds": [], "steps": 0.0}
        entry = faults.attempt(part, partial(cost, frame.loc[frame.run == run]), lost)
        found[run] = {"reason": faults.found.get(part, ""), **base, **entry}
    return found


def cost(rows: pandas.DataFrame) -> dict[str, Any]:
    """Status, cost and origin of a run from its rows, told by seed where seeds differ."""
    rows = rows.drop_duplicates("seed").sort_values("seed")
    trained = rows.loc[rows.train_status == "ok"]
    made = trained if len(trained) else rows
    shares = (100 * made.steps / made.paper_steps).loc[made.paper_steps > 0]
    return {
        "status": ", ".join(sorted(set(rows.train_status))),
        "reason": by_seed(rows.loc[rows.train_reason.astype(bool)], lambda row: row.train_reason),
        "seeds": list(rows.seed),
        "steps": float(made.steps.mean()),
        "rounds": by_seed(made, lambda row: f"{int(row.steps):,}"),
        "share": float(shares.mean()) if len(shares) else None,
        "seconds": float(trained.seconds.mean()) if len(trained) else None,
        "rate": float(trained.images_per_second.mean()) if len(trained) else None,
        "memory": float(trained.peak_memory_mib.max()) if len(trained) else None,
        "gpu_hours": gpu_hours(trained),
        "energy": energy(trained),
        "energy_source": energy_source(trained),
        "hardware": by_seed(made, lambda row: f"{row.device} {row.hardware}, {row.threads} thread(s), {row.precision}"),
        "environment": by_seed(trained, environment_of),
        "commit": by_seed(trained, commit_of),
        "parameters": by_seed(made, parameters),
    }


def parameters(row: Any) -> str:
    """Number of parameters of each component of a training."""
    return ", ".join(f"{name} {count:,}" for name, count in json.loads(row.parameters).items())


def verdicts(grids: dict[str, list[list[Cell]]]) -> dict[str, Counter[str]]:
    """Run -> how many of its cells have each verdict."""
    found: dict[str, Counter[str]] = {}
    for cell in (cell for grid in grids.values() for line in grid for cell in line if cell.run):
        found.setdefault(cell.run, Counter())[cell.verdict] += 1
    return found


def text_of(declared: declarations.Declared) -> tuple[str, int]:
    """The docstring of the class (of its file if it has none), and the line where the class begins."""
    tree = declarations.parse(declared.path)
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == declared.name)
    return inspect.cleandoc(ast.get_docstring(node) or ast.get_docstring(tree) or ""), node.lineno


def cards(suite: Suite) -> dict[str, dict[str, Any]]:
    """Method -> its card; those that have a run here."""
    used: dict[str, list[str]] = {}
    for run in sorted(suite.wanted):
        used.setdefault(suite.method_of(run).name, []).append(run)
    found = {}
    for name, runs in sorted(used.items(), key=lambda item: item[0].casefold()):
        declared = suite.method_of(runs[0])
        says = declared.literals
        text, line = text_of(declared)
        found[name] = {
            "title": method_cards.first_line(declared.path),
            "text": text,
            "paper": says.get("paper", ""),
            "equations": says.get("equations", ""),
            "players": says.get("player_names", ()),
            "provides": [*declared.provides(), *(f"what its {part} does" for part in says.get("wraps", ()))],
            "relations": [(method_cards.RELATIONS[kind], other) for other, kind in says.get("relations", {}).items()],
            "place": f"{method_cards.place(declared.path)}:{line}",
            "runs": runs,
        }
    return found
