"""From tables, figures and claims to jobs: their cells are (run, metric) pairs, and the union is the DAG.

Imports no torch: Snakemake parses this at every call.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import catalogue, config
from benchmarks.catalogue import ROOT, Declared
from benchmarks.config import Budget, Cell, Claim, Dataset, Figure, Profile, Run, Table
from benchmarks.errors import SuiteError, unknown
from benchmarks.records import canonical

TRAINING_CODE = [ROOT / "benchmarks" / "execute.py", ROOT / "methods" / "build.py", ROOT / "methods" / "train.py"]


@dataclass(frozen=True)
class Job:
    """One run and seed: what to train and what to evaluate."""

    run: str
    seed: int
    specification: dict[str, Any] = field(hash=False)
    metrics: dict[str, dict[str, Any]] = field(hash=False)

    @property
    def folder(self) -> str:
        """Path below results/<profile>/."""
        return f"{self.run}/seed{self.seed}"


def as_list(value: str | list[str] | None) -> list[str]:
    """One name or several, as a list."""
    return [] if value is None else [value] if isinstance(value, str) else value


def provides(method: Declared, dataset: Dataset, latent_dim: int) -> set[str]:
    """The questions that metrics may ask of a method on this dataset; a problem has no decoder of images."""
    found = set(method.provides())
    if dataset.kind == "problem":
        return (found - {"decoder"}) | {"problem"}
    return found | {"data"} | ({"latent_2d"} if latent_dim == 2 else set())


class Suite:
    """Everything that benchmarks/*.yml says, checked, for one profile."""

    def __init__(self, profile: str, extra_runs: Path | None = None, only: list[str] | None = None):
        self.profiles = config.load_file("profiles.yml", Profile)
        if profile not in self.profiles:
            raise unknown("profile", "profile", profile, self.profiles)
        self.name = profile
        self.profile = self._inherit(profile)
        self.runs = config.load_folder("runs", Run, [extra_runs] if extra_runs else [])
        self.own = set(config.load_yaml(extra_runs)) if extra_runs else set()
        self.datasets = config.load_file("datasets.yml", Dataset)
        self.networks = config.load_yaml(config.FOLDER / "networks.yml")
        self.tables = config.load_folder("tables", Table)
        self.figures = config.load_folder("figures", Figure)
        self.claims = config.load_folder("claims", Claim)
        if only:
            unknown_names = [n for n in only if n not in self.tables | self.figures | self.claims | self.runs]
            if unknown_names:
                raise unknown("only", "table, figure, claim or run", unknown_names[0], self.tables | self.runs)
            self.tables = {k: v for k, v in self.tables.items() if k in only}
            self.figures = {k: v for k, v in self.figures.items() if k in only}
            self.claims = {k: v for k, v in self.claims.items() if k in only}
            self.own |= set(only) & set(self.runs)
        if self.own:
            self.tables["own-runs"] = self.own_table(alone=bool(only))
        self.check()

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

    def check(self) -> None:
        """SuiteError at the first thing that cannot be: before any job starts."""
        for name, options in self.profile.metrics.items():
            where = f"benchmarks/profiles.yml: {self.name}: metrics"
            if name not in catalogue.metrics():
                raise unknown(where, "metric", name, catalogue.metrics())
            catalogue.check_options(where, catalogue.metrics()[name], options)
        for run in self.wanted:
            for metric in self.wanted[run]:
                if metric not in catalogue.metrics():
                    raise unknown(f"run {run}", "metric", metric, catalogue.metrics())
            self.specification(run)

    def own_table(self, alone: bool) -> Table:
        """A user's runs by every metric that applies, above all other wanted runs on the same datasets."""
        used = {self.dataset_of(run)[0] for run in self.own}
        others = [] if alone else sorted(r for r in self.wanted if r not in self.own and self.dataset_of(r)[0] in used)
        labels = sorted(set().union(*(self.wanted[run] for run in self.own)))
        self.__dict__.pop("wanted")  # the table widens it
        return Table(
            paper="Your own",
            number="runs",
            title="by every metric that applies, beside the suite's on the same data",
            rows=[Cell(label=run, run=run) for run in [*sorted(self.own), *others]],
            columns=[Cell(label=metric, metric=metric) for metric in labels],
        )

    def run(self, name: str) -> Run:
        """The run called `name`."""
        if name not in self.runs:
            raise unknown("tables, figures and claims", "run", name, self.runs)
        return self.runs[name]

    def dataset_of(self, run: str) -> tuple[str, Dataset]:
        """Name and definition of the dataset that the run uses in this profile (a stand-in, perhaps)."""
        name = self.run(run).dataset
        name = self.profile.stand_ins.get(name, name)
        if name not in self.datasets:
            raise unknown(f"run {run}", "dataset", name, self.datasets)
        return name, self.datasets[name]

    def method_of(self, run: str) -> Declared:
        """The declared method class of a run."""
        declared = catalogue.component_class(f"run {run}: method", self.run(run).method)
        if "player_names" not in declared.literals:
            raise unknown(f"run {run}", "method", self.run(run).method, catalogue.methods())
        return declared

    def provides(self, run: str) -> set[str]:
        """The questions that metrics may ask of this run."""
        return provides(self.method_of(run), self.dataset_of(run)[1], self.run(run).latent_dim)

    def choose(self, run: str, metric: str | list[str]) -> str:
        """The first of the metrics that the run can serve; the first of all if it can serve none."""
        names = as_list(metric)
        for name in names:
            if name not in catalogue.metrics():
                raise unknown(f"run {run}", "metric", name, catalogue.metrics())
            if set(catalogue.metrics()[name].literals.get("needs", ())) <= self.provides(run):
                return name
        return names[0]

    def cells(self, table: Table) -> Iterator[tuple[config.Cell, config.Cell, str, str]]:
        """(row, column, run, metric) of every cell that is trained here."""
        for row in table.rows:
            for column in table.columns:
                run, metric = row.run or column.run, row.metric or column.metric
                if run is not None and metric is not None:
                    yield row, column, run, self.choose(run, metric)

    @cached_property
    def wanted(self) -> dict[str, set[str]]:
        """Run -> metrics that a table, figure or claim asks for; a user's own runs get all that apply."""
        found: dict[str, set[str]] = {}
        for table in self.tables.values():
            for _, _, run, metric in self.cells(table):
                found.setdefault(run, set()).add(metric)
        for figure in self.figures.values():
            for run in figure.runs.values():
                found.setdefault(run, set()).update(figure.needs)
        for claim in self.claims.values():
            for quantity in (claim.greater, claim.than, claim.value):
                if quantity is not None:
                    found.setdefault(quantity.run, set()).add(quantity.metric)
        for run in self.own:
            able = self.provides(run)
            needs = {n: set(d.literals.get("needs", ())) for n, d in catalogue.metrics().items()}
            found.setdefault(run, set()).update(n for n, need in needs.items() if need <= able)
        return found

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
        plain = {k: v for k, v in value.items() if k != "class" and k not in nested}
        catalogue.check_options(where, declared, plain)
        inner = {k: self.component(run, f"{role}.{k}", v) for k, v in nested.items()}
        return {"class": declared.target, **plain, **inner}

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

    def metric_options(self, run: str) -> dict[str, dict[str, Any]]:
        """Metric -> options and code hash, for the metrics asked of this run."""
        found = {}
        for metric in sorted(self.wanted[run]):
            declared = catalogue.metrics()[metric]
            options = self.profile.metrics.get(metric, {})
            found[metric] = {"options": options, "code": catalogue.code_hash({declared.path})}
        return found

    def seeds(self, run: str) -> int:
        """How many seeds this run has in this profile."""
        seeds = max(self.budget(run).seeds or 1, self.profile.seeds)
        return min(seeds, self.profile.max_seeds or seeds)

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """Folder -> job, for every wanted run and seed."""
        found = {}
        for run in sorted(self.wanted):
            specification, metrics = self.specification(run), self.metric_options(run)
            for seed in range(self.seeds(run)):
                job = Job(run, seed, specification, metrics)
                found[job.folder] = job
        return found

    @cached_property
    def problems(self) -> list[str]:
        """Problems that need a reference."""
        names = {self.dataset_of(run)[0] for run in self.wanted}
        return sorted(n for n in names if self.datasets[n].kind == "problem")

    def specification_json(self, folder: str) -> str:
        """The job's specification as canonical JSON."""
        return canonical(self.jobs[folder].specification)

    def metrics_json(self, folder: str) -> str:
        """The job's metrics with options and code, as canonical JSON."""
        return canonical(self.jobs[folder].metrics)

    def data_state(self, run: str, data_root: str) -> str:
        """`embedded`, `present` or `absent`: a cell that lacked its data is tried again once they are there."""
        definition = self.dataset_of(run)[1]
        if not definition.checksums:
            return "embedded"
        root = Path(data_root or os.environ.get("VGB_DATA_ROOT") or "data")
        return "present" if all((root / file).exists() for file in definition.checksums) else "absent"

    def reference_code(self) -> str:
        """Hash of the code that references depend on."""
        folder = ROOT / "benchmarks"
        return catalogue.code_hash({folder / "problems" / "__init__.py", folder / "references" / "hmc.py"})

    def report_code(self) -> str:
        """Hash of what tables, figures, claims and the page depend on, their YAML and published values included."""
        folder = ROOT / "benchmarks"
        texts = [*folder.glob("*/*.yml"), *folder.glob("reference/*.csv"), *folder.glob("templates/*")]
        digest = hashlib.sha256(catalogue.code_hash(set((folder / "report").glob("*.py"))).encode())
        for path in sorted(texts):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]
