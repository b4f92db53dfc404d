"""What the YAML files define, resolved for one profile: runs, datasets, networks and their specifications.

Imports no torch: Snakemake parses this at every call.
"""

import os
from pathlib import Path
from typing import Any

from benchmarks import catalogue, config
from benchmarks.catalogue import ROOT, Declared
from benchmarks.config import Budget, Dataset, Profile, Run
from benchmarks.errors import SuiteError, unknown

TRAINING_CODE = [ROOT / "benchmarks" / "execute.py", ROOT / "methods" / "build.py", ROOT / "methods" / "train.py"]


def provides(method: Declared, dataset: Dataset, latent_dim: int) -> set[str]:
    """The questions that metrics may ask of a method on this dataset; a problem has no decoder of images."""
    found = set(method.provides())
    if dataset.kind == "problem":
        return (found - {"decoder"}) | {"problem"}
    if "decoder" in found:  # its means are images
        found |= {"sample", "reconstruct"} if "encode" in found else {"sample"}
    if dataset.classifier:
        found.add("classifier")
    return found | {"data"} | ({"latent_2d"} if latent_dim == 2 else set())


def use_data_root(path: str) -> None:
    """Let this process and its jobs look for data in `path`; an empty one changes nothing."""
    if path:
        os.environ["VGB_DATA_ROOT"] = str(path)


def gpus_per_job() -> int:
    """1 where a job will use a GPU: one at a time then; 0 elsewhere, so that cores are the only limit."""
    return int(os.environ.get("VGB_DEVICE") != "cpu" and Path("/dev/nvidiactl").exists())


class Definitions:
    """Runs, datasets, networks and profiles; what each run is in the profile `profile`."""

    def __init__(self, profile: str, extra_runs: Path | None = None):
        self.profiles = config.load_file("profiles.yml", Profile)
        if profile not in self.profiles:
            raise unknown("profile", "profile", profile, self.profiles)
        self.name = profile
        self.profile = self._inherit(profile)
        self.runs = config.load_folder("runs", Run, [extra_runs] if extra_runs else [])
        self.datasets = config.load_file("datasets.yml", Dataset)
        self.networks = config.load_yaml(config.FOLDER / "networks.yml")

    def _inherit(self, name: str) -> Profile:
        """A profile with the keys of the profile that it is `like` filled in."""
        own = self.profiles[name]
        if own.like is None:
            return own.model_copy(update={"budget_key": name})
        if own.like not in self.profiles:
            raise unknown(f"benchmarks/profiles.yml: {name}", "profile", own.like, self.profiles)
        base = self._inherit(own.like)
        update = own.model_dump(exclude_unset=True)
        metrics = {m: base.metrics.get(m, {}) | own.metrics.get(m, {}) for m in base.metrics | own.metrics}
        return base.model_copy(update={**update, "metrics": metrics})

    def run(self, name: str) -> Run:
        """The run called `name`."""
        if name not in self.runs:
            raise unknown("tables, figures and claims", "run", name, self.runs)
        return self.runs[name]

    def dataset_of(self, run: str) -> tuple[str, Dataset]:
        """Name and definition of the dataset that the run uses in this profile (a stand-in, perhaps)."""
        name = self.run(run).dataset
        name = self.profile.stand_ins.get(name, name)
        return name, config.dataset_named(f"run {run}", name, self.datasets)

    def method_of(self, run: str) -> Declared:
        """The declared method class of a run."""
        declared = catalogue.component_class(f"run {run}: method", self.run(run).method)
        if "player_names" not in declared.literals:
            raise unknown(f"run {run}", "method", self.run(run).method, catalogue.methods())
        return declared

    def provides(self, run: str) -> set[str]:
        """The questions that metrics may ask of this run."""
        return provides(self.method_of(run), self.dataset_of(run)[1], self.run(run).latent_dim)

    def budget(self, run: str) -> Budget:
        """What this profile changes of the run."""
        return self.run(run).profiles.get(self.profile.budget_key or self.name, Budget())

    def train_options(self, run: str) -> dict[str, Any]:
        """The run's training settings in this profile."""
        definition, budget = self.run(run), self.budget(run)
        merged = definition.train.model_dump() | budget.train
        options = config.validated(f"run {run}: train", config.TrainOptions, merged).model_dump()
        if self.profile.max_steps is not None:
            options["steps"] = min(options["steps"], self.profile.max_steps)
        every, steps = options.pop("snapshot_every"), options["steps"]
        options["snapshots"] = sorted({*range(0, steps, every), steps}) if every else []
        rates = options["learning_rate"]
        players = self.method_of(run).literals["player_names"]
        if isinstance(rates, dict) and set(rates) != set(players):
            wrong = next(iter(set(rates) ^ set(players)))
            raise unknown(f"run {run}: train.learning_rate", "player", wrong, players)
        return options

    def component(self, run: str, role: str, value: Any) -> Any:
        """A component with classes resolved and options checked; names refer to benchmarks/networks.yml."""
        where = f"run {run}: components.{role}"
        if isinstance(value, str):
            if value not in self.networks:
                raise unknown(where, "network", value, self.networks)
            sizes = self.networks[value]
            size = self.budget(run).size or self.profile.size
            if "class" not in sizes and size not in sizes and "any" not in sizes:
                raise unknown(f"{where}: {value}", "network size", size, sizes)
            value = sizes if "class" in sizes else sizes.get(size, sizes.get("any"))
        if "class" not in value:
            raise SuiteError(f"{where}: key class is missing; name a network class of methods/")
        declared = catalogue.component_class(where, value["class"])
        nested = {k: v for k, v in value.items() if isinstance(v, dict)}
        for key in nested:
            if key not in declared.parameters or declared.parameters[key].plain:
                raise unknown(where, f"component of {declared.name}", key, declared.parameters)
        copies = {k: v for k, v in value.items() if k == "copies"}
        plain = {k: v for k, v in value.items() if k not in ("class", "copies") and k not in nested}
        catalogue.check_options(where, declared, plain)
        inner = {k: self.component(run, f"{role}.{k}", v) for k, v in nested.items()}
        return {"class": declared.target, **copies, **plain, **inner}

    def specification(self, run: str) -> dict[str, Any]:
        """The resolved run: everything that training depends on, and nothing else."""
        definition, method = self.run(run), self.method_of(run)
        dataset_name, dataset = self.dataset_of(run)
        catalogue.check_options(f"run {run}: options", method, definition.options)
        roles = {n for n, p in method.parameters.items() if not p.plain and n not in catalogue.FROM_DATA}
        if dataset.kind == "problem":
            roles.discard("decoder")
        for role in set(definition.components) ^ roles:
            what = "missing component" if role in roles else "component"
            raise unknown(f"run {run}: components ({what})", "role", role, roles - {role})
        parts = {r: self.component(run, r, v) for r, v in definition.components.items()}
        for role, needed in method.literals.get("needs", {}).items():
            declared = catalogue.component_class(run, self._class_name(parts[role]["class"]))
            for capability in set(needed) - set(declared.provides()):
                raise SuiteError(
                    f"run {run}: {method.name} needs an encoder with {capability!r}, but {declared.name} "
                    f"provides {', '.join(declared.provides()) or 'draws only'}; choose another {role} or method"
                )
        return {
            "run": run,
            "method": method.target,
            "dataset": dataset_name,
            "latent_dim": definition.latent_dim,
            "components": parts,
            "options": definition.options,
            "train": self.train_options(run),
            "paper_steps": definition.train.steps,
        }

    @staticmethod
    def _class_name(target: str) -> str:
        module, name = target.rsplit(":", 1)
        return target if module.endswith(".py") else name

    def code(self, run: str) -> str:
        """Hash of the code that training this run depends on."""
        files = {self.method_of(run).path, *TRAINING_CODE}

        def visit(part: dict[str, Any]) -> None:
            files.add(catalogue.component_class(run, self._class_name(part["class"])).path)
            for value in part.values():
                if isinstance(value, dict):
                    visit(value)

        for part in self.specification(run)["components"].values():
            visit(part)
        return catalogue.code_hash(files)

    def data_state(self, run: str) -> str:
        """See Dataset.state: a cell that lacked its data is tried again once they are there."""
        return self.dataset_of(run)[1].state(self.data_root)

    @property
    def data_root(self) -> Path:
        """Where this process looks for data."""
        return Path(os.environ.get("VGB_DATA_ROOT") or "data")
