"""A user's own runs: what their file leaves unsaid.

Imports no torch: Snakemake parses this at every call.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.config import declarations
from benchmarks.config.declarations import Declared
from benchmarks.config.models import Run, load_yaml, validated
from benchmarks.config.yaml_files import NAME, NAMES
from benchmarks.errors import SuiteError, unknown

RESERVED = ("logs", "own", "references")  # folders beside those of runs
MAPPINGS = ("components", "options", "train", "search", "profiles")


def checked_name(where: str, name: object, known: Iterable[str]) -> str:
    """The name, which will be a folder and a word of a shell command; SuiteError if it is unsafe or taken."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SuiteError(f"{where}: name {name!r}: expected {NAMES}")
    if name in RESERVED:
        raise SuiteError(f"{where}: name {name!r} is that of a folder beside those of runs; rename yours")
    if name in known:
        raise SuiteError(f"{where}: the suite has a {name!r} already; rename yours")
    return name


def load(path: Path, known: dict[str, Run]) -> dict[str, Run]:
    """The runs of a user's file; `like: RUN` gives a run all that it does not say. SuiteError names file and key."""
    content = {checked_name(str(path), name, known): entry for name, entry in load_yaml(path).items()}

    def resolve(name: str, behind: list[str]) -> Run:
        where = f"{path}: {name}"
        said = located(content[name], path.parent)
        like = said.pop("like", None) if isinstance(said, dict) else None
        if like is None:
            return validated(where, Run, said)
        chain = [*behind, name]
        if like in chain:
            raise SuiteError(f"{where}: like: {' -> '.join([*chain, like])} is a circle; let one say everything")
        if not isinstance(like, str) or (like not in content and like not in known):
            raise unknown(f"{where}: like", "run", like, [*known, *content])
        base = resolve(like, chain) if like in content else known[like]
        return validated(where, Run, completed(where, said, base))

    return {name: resolve(name, []) for name in content}


def located(value: Any, folder: Path) -> Any:
    """The value with `file.py:Class` relative to the folder of the file that says it."""
    if isinstance(value, dict):
        return {
            k: str(folder / v)
            if k in ("method", "class") and isinstance(v, str) and ".py:" in v
            else located(v, folder)
            for k, v in value.items()
        }
    return value


def completed(where: str, said: dict[str, Any], base: Run) -> dict[str, Any]:
    """What is said, and of `base` the rest that fits the method: data, networks by role, options, budgets.

    What is said holds in every profile: a budget of `base` changes no training setting that is said, and an option
    that is said is searched no more.
    """
    for key in MAPPINGS:
        if not isinstance(said.get(key, {}), dict):
            raise SuiteError(f"{where}: {key} is {said[key]!r}; expected a mapping")
    method = declarations.component_class(f"{where}: method", str(said.get("method", base.method)))
    whole = base.model_dump(exclude_unset=True, exclude={"note", "deviations"})
    fixed = said.get("options", {})
    for key in ("components", "options", "search"):
        fitting = {k: v for k, v in whole.get(key, {}).items() if k in method.parameters}
        if key == "search":
            fitting = {k: v for k, v in fitting.items() if k not in fixed}
        whole[key] = fitting | said.get(key, {})
    train = said.get("train", {})
    whole["train"] = unsaid(where, whole["train"], train, method) | train
    for name, budget in whole.get("profiles", {}).items():
        for key in {"why", "network"} | (said.keys() & {"latent_dim", "search"}):
            budget.pop(key, None)
        budget["train"] = unsaid(where, budget.get("train", {}), train, method)
        if "search" in budget:
            budget["search"] = {k: v for k, v in budget["search"].items() if k not in fixed}
        more = said.get("profiles", {}).get(name)
        if isinstance(more, dict):
            budget |= more
    profiles = {**said.get("profiles", {}), **whole.get("profiles", {})}
    return {**whole, **{k: v for k, v in said.items() if k not in MAPPINGS}, "profiles": profiles}


def unsaid(where: str, inherited: dict[str, Any], said: dict[str, Any], method: Declared) -> dict[str, Any]:
    """The inherited training settings that are not said; learning rates are those of the method's players."""
    rest = {k: v for k, v in inherited.items() if k not in said}
    if said.get("validate_every") == 0:
        rest.pop("patience", None)
    if said.get("optimiser", "adam") != "adam":
        rest.pop("betas", None)
    rates, players = rest.get("learning_rate"), method.literals.get("player_names", ())
    if isinstance(rates, dict):
        for player in players:
            if player not in rates:
                raise SuiteError(
                    f"{where}: train.learning_rate: the run it is like has rates for {', '.join(rates)}, none for "
                    f"player {player!r}; say learning_rate"
                )
        rest["learning_rate"] = {player: rates[player] for player in players}
    return rest


def stem_of(runs: Path) -> str:
    """The name of a runs file as part of other names: of letters that mean nothing to a shell."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", runs.stem)
