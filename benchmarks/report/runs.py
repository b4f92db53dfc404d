"""What the page says of each run (protocol, cost, command) and of each method (its card, from its declarations)."""

import ast
import inspect
import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pandas

from benchmarks import catalogue, systems
from benchmarks.report import compare, pictures
from benchmarks.report.compare import Cell
from benchmarks.suite import Suite


def deviations(suite: Suite, run: str) -> list[str]:
    """How this profile's run differs from the paper's protocol, computed where it can be."""
    definition = suite.run(run)
    found = [*compare.caveats(suite, run), *definition.deviations]
    ours, theirs = suite.train_options(run), definition.train.model_dump()
    for key in ("batch_size", "learning_rate", "betas", "decay_from", "precision"):
        if list(ours[key]) != list(theirs[key]) if isinstance(ours[key], tuple | list) else ours[key] != theirs[key]:
            found.append(f"{key} {json.dumps(ours[key])} instead of {json.dumps(theirs[key])}")
    budget = suite.budget(run)
    return found + ([budget.why] if budget.why else [])


def command(suite: Suite, run: str, seed: int = 0) -> str:
    """What trains and evaluates the run again, to be pasted into a shell."""
    options = ["--seed", str(seed), "--profile", suite.name]
    if run in suite.from_file:
        options += ["--runs", str(suite.extra_runs)]
    return " && ".join(
        shlex.join(["python", "-m", "benchmarks", verb, run, *options]) for verb in ("train", "evaluate")
    )


def gpu_hours(rows: pandas.DataFrame) -> float | None:
    """Of all seeds together; None on a CPU."""
    on_gpu = rows.loc[rows.device.str.startswith("cuda")]
    return float(on_gpu.seconds.sum()) / 3600 if len(on_gpu) else None


def energy(rows: pandas.DataFrame) -> float | None:
    """Kilowatt hours of all seeds together; None where it could not be read."""
    known = [float(value) for value in rows["energy_kwh"].dropna()]
    return sum(known) if known else None


def entries(suite: Suite, frame: pandas.DataFrame, folder: Path) -> dict[str, dict[str, Any]]:
    """Run -> status, cost, command, deviations; writes its learning curves."""
    found = {}
    for run in sorted(suite.wanted):
        rows = frame.loc[frame.run == run].drop_duplicates("seed").sort_values("seed")
        first = rows.iloc[0]
        trained = rows.loc[rows.train_status == "ok"]
        found[run] = {
            "method": first.method,
            "dataset": first.dataset,
            "status": ", ".join(sorted(set(rows.train_status))),
            "reason": next((r for r in rows.train_reason if r), ""),
            "seeds": list(rows.seed),
            "steps": int(first.steps),
            "share": float(100 * first.steps / first.paper_steps) if first.paper_steps else None,
            "seconds": float(trained.seconds.mean()) if len(trained) else None,
            "rate": float(trained.images_per_second.mean()) if len(trained) else None,
            "memory": float(trained.peak_memory_mib.max()) if len(trained) else None,
            "gpu_hours": gpu_hours(trained),
            "energy": energy(trained),
            "energy_source": str(first["energy_source"] or ""),
            "hardware": f"{first.device} {first.hardware}, {first.threads} thread(s), {first.precision}",
            "parameters": ", ".join(f"{k} {v:,}" for k, v in json.loads(first.parameters).items()),
            "latent_dim": suite.latent_dim(run),
            "command": command(suite, run),
            "deviations": deviations(suite, run),
            "note": suite.run(run).note,
            "curves": pictures.curves(suite, run, folder),
        }
    return found


def verdicts(grids: dict[str, list[list[Cell]]]) -> dict[str, Counter[str]]:
    """Run -> how many of its cells have each verdict."""
    found: dict[str, Counter[str]] = {}
    for cell in (cell for grid in grids.values() for line in grid for cell in line if cell.run):
        found.setdefault(cell.run, Counter())[cell.verdict] += 1
    return found


def text_of(declared: catalogue.Declared) -> tuple[str, int]:
    """The docstring of the class (of its file if it has none), and the line where the class begins."""
    tree = catalogue.parse(declared.path)
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
            "title": systems.first_line(declared.path),
            "text": text,
            "paper": says.get("paper", ""),
            "equations": says.get("equations", ""),
            "players": says.get("player_names", ()),
            "provides": [*declared.provides(), *(f"what its {part} does" for part in says.get("wraps", ()))],
            "relations": [(systems.RELATIONS[kind], other) for other, kind in says.get("relations", {}).items()],
            "place": f"{systems.place(declared.path)}:{line}",
            "runs": runs,
        }
    return found
