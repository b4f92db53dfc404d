"""What the YAML files define, resolved for one profile: runs, datasets, networks and their specifications.

Imports no torch: Snakemake parses this at every call.
"""

import os
from pathlib import Path
from typing import Any

from benchmarks.config import declarations, models, user_runs
from benchmarks.config.capabilities import answers, named, provides
from benchmarks.config.declarations import Declared
from benchmarks.config.models import Budget, Dataset, Profile, Run
from benchmarks.errors import SuiteError, unknown
from benchmarks.plan import settling
from benchmarks.plan.fingerprint import DATA, EVALUATION, PROBLEMS, SEARCHES, TRAINING, fingerprint
from benchmarks.store.content import content_of


def texts(value: Any) -> set[str]:
    """All texts in nested mappings and lists, keys left out."""
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return set().union(*map(texts, inner))


def classes(value: Any) -> set[str]:
    """The classes of components and of the components in them."""
    inner = value.values() if isinstance(value, dict) else ()
    found = {value["class"]} if isinstance(value, dict) and "class" in value else set()
    return found.union(*map(classes, inner))


def use_data_root(path: str) -> None:
    """Let this process and its jobs look for data in `path`; an empty one changes nothing."""
    if path:
        os.environ["VGB_DATA_ROOT"] = str(path)


def gpus_per_job() -> int:
    """1 where a job will use a GPU, here or where VGB_DEVICE=cuda sends it; 0 elsewhere: cores are the only limit."""
    device = os.environ.get("VGB_DEVICE") or "auto"
    return int(device.startswith("cuda") or (device == "auto" and Path("/dev/nvidiactl").exists()))


class Definitions:
    """Runs, datasets, networks and profiles; what each run is in the profile `profile`."""

    def __init__(self, profile: str, extra_runs: Path | None = None):
        self.profiles = models.load_file("profiles.yml", Profile)
        if profile not in self.profiles:
            raise unknown("profile", "profile", profile, self.profiles)
        self.name = profile
        self.profile = self._inherit(profile)
        self.runs = models.of_papers("runs", Run)
        self.runs |= user_runs.load(extra_runs, self.runs) if extra_runs else {}
        self.datasets = models.load_file("datasets.yml", Dataset)
        self.networks = models.load_yaml(models.FOLDER / "networks.yml")
        self._provided: dict[str, set[str]] = {}
        for run, definition in self.runs.items():
            for name, budget in definition.profiles.items():
                if name not in self.profiles:
                    raise unknown(f"run {run}: profiles", "profile", name, self.profiles)
                changed = definition.train.model_dump() | budget.train
                models.validated(f"run {run}: profiles.{name}.train", models.TrainOptions, changed)

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
        return name, models.dataset_named(f"run {run}", name, self.datasets)

    def method_of(self, run: str) -> Declared:
        """The declared method class of a run."""
        declared = declarations.component_class(f"run {run}: method", self.run(run).method)
        if "player_names" not in declared.literals:
            raise unknown(f"run {run}", "method", self.run(run).method, declarations.methods())
        return declared

    def provides(self, run: str) -> set[str]:
        """The questions that metrics may ask of this run."""
        if run not in self._provided:
            method, dataset = self.method_of(run), self.dataset_of(run)[1]
            parts = self.components(run) if method.literals.get("wraps") else {}
            self._provided[run] = provides(answers(f"run {run}", method, parts), dataset, self.latent_dim(run))
        return self._provided[run]

    def budget(self, run: str) -> Budget:
        """What this profile changes of the run."""
        return self.run(run).profiles.get(self.profile.budget_key or self.name, Budget())

    def latent_dim(self, run: str) -> int:
        """Number of latent dimensions, in this profile."""
        return self.budget(run).latent_dim or self.run(run).latent_dim

    def train_options(self, run: str) -> dict[str, Any]:
        """The run's training settings in this profile."""
        definition, budget = self.run(run), self.budget(run)
        merged = definition.train.model_dump() | budget.train
        options = models.validated(f"run {run}: train", models.TrainOptions, merged).model_dump()
        self.check_heeded(run, options)
        if self.profile.max_steps is not None:
            options["steps"] = min(options["steps"], self.profile.max_steps)
            options["validate_every"] = min(options["validate_every"], options["steps"])
        every, steps = options.pop("snapshot_every"), options["steps"]
        kept = {*range(0, steps, every), steps} if every else set()
        options["snapshots"] = sorted(kept | settling.rounds(options, definition, self.dataset_of(run)[0]))
        rates = options["learning_rate"]
        players = self.method_of(run).literals["player_names"]
        if isinstance(rates, dict) and set(rates) != set(players):
            wrong = next(iter(set(rates) ^ set(players)))
            raise unknown(f"run {run}: train.learning_rate", "player", wrong, players)
        return options

    def settling_round(self, run: str) -> int | None:
        """The round at which metrics are looked at before the end, in a training shorter than the paper's."""
        found = settling.rounds(self.train_options(run), self.run(run), self.dataset_of(run)[0])
        return next(iter(found), None)

    def check_heeded(self, run: str, train: dict[str, Any]) -> None:
        """SuiteError for a setting that the training would ignore without a word.

        A profile that says `validate_every: 0` turns off the run's patience too.
        """
        where, changed = f"run {run}: train", self.budget(run).train
        every, steps, patience = train["validate_every"], train["steps"], train["patience"]
        if every > steps:
            raise SuiteError(
                f"{where}.validate_every is {every}, but steps is {steps} in profile {self.name}: no round would look "
                f"at validation data; expected at most {steps}, or 0 for never"
            )
        if patience and not every and not ("validate_every" in changed and "patience" not in changed):
            raise SuiteError(
                f"{where}.patience is {patience}, but validate_every is 0 in profile {self.name}: nothing would stop "
                f"the training early; say validate_every, how often to look at validation data, or patience: 0"
            )
        usual = models.TrainOptions.model_fields["betas"].default
        if train["optimiser"] != "adam" and train["betas"] != usual:
            raise SuiteError(
                f"{where}.betas is {list(train['betas'])}, but {train['optimiser']} has none: they are Adam's; leave "
                f"them out, or say betas: {list(usual)}"
            )

    def component(self, run: str, role: str, value: Any, size: str | None = None) -> Any:
        """A component with classes resolved and options checked; names refer to benchmarks/networks.yml."""
        where = f"run {run}: components.{role}"
        if isinstance(value, str):
            value = self.network(where, value, size or self.budget(run).size or self.profile.size)
        if not isinstance(value, dict) or "class" not in value:
            raise SuiteError(f"{where}: key class is missing; name a network class of methods/")
        declared = declarations.component_class(where, value["class"])
        roles = {n for n, p in declared.parameters.items() if not p.plain and n not in declarations.FROM_DATA}
        nested = {k: v for k, v in value.items() if isinstance(v, dict) or k in roles}
        for key in set(nested) - roles:
            raise unknown(where, f"component of {declared.name}", key, declared.parameters)
        plain = {k: v for k, v in value.items() if k not in ("class", "copies") and k not in nested}
        declarations.check_options(where, declared, plain)
        inner = {k: self.component(run, f"{role}.{k}", v, size) for k, v in nested.items()}
        self.check_needs(f"run {run}", declared, inner)
        return {"class": declared.target, **{k: v for k, v in value.items() if k == "copies"}, **plain, **inner}

    def network(self, where: str, name: str, size: str) -> dict[str, Any]:
        """The network `name` of benchmarks/networks.yml at a size."""
        if name not in self.networks:
            raise unknown(where, "network", name, self.networks)
        sizes = self.networks[name]
        if "class" not in sizes and size not in sizes and "any" not in sizes:
            raise unknown(f"{where}: {name}", "network size", size, sizes)
        return sizes if "class" in sizes else sizes.get(size, sizes.get("any"))

    @staticmethod
    def check_needs(where: str, method: Declared, parts: dict[str, Any]) -> None:
        """SuiteError unless each component provides what the method needs of it."""
        for role, needed in method.literals.get("needs", {}).items():
            declared = named(where, parts[role]["class"])
            for capability in set(needed) - set(declared.provides()):
                raise SuiteError(
                    f"{where}: {method.name} needs a {role} with {capability!r}, but {declared.name} "
                    f"provides {', '.join(declared.provides()) or 'draws only'}; choose another {role} or method"
                )

    def components(self, run: str, size: str | None = None) -> dict[str, Any]:
        """The run's components, resolved, at the profile's network size or another."""
        definition, method = self.run(run), self.method_of(run)
        roles = {n for n, p in method.parameters.items() if not p.plain and n not in declarations.FROM_DATA}
        if self.dataset_of(run)[1].kind == "problem":
            roles.discard("decoder")
        for role in set(definition.components) ^ roles:
            what = "missing component" if role in roles else "component"
            raise unknown(f"run {run}: components ({what})", "role", role, roles - {role})
        return {r: self.component(run, r, v, size) for r, v in definition.components.items()}

    def specification(self, run: str) -> dict[str, Any]:
        """The resolved run: everything that training depends on, and nothing else."""
        definition, method, search = self.run(run), self.method_of(run), self.search(run)
        declarations.check_options(f"run {run}: options", method, definition.options)
        parts, train = self.components(run), self.train_options(run)
        self.check_needs(f"run {run}", method, parts)
        if train["validate_every"] and not self.dataset_of(run)[1].validation:
            name = self.dataset_of(run)[0]
            raise SuiteError(f"run {run}: train.validate_every needs validation images; dataset {name} holds none out")
        part = {"fraction": definition.fraction, "rest": definition.rest} if definition.fraction < 1 else {}
        return {
            "run": run,
            "method": method.target,
            "dataset": self.dataset_of(run)[0],
            "latent_dim": self.latent_dim(run),
            "components": parts,
            "options": definition.options,
            "train": train,
            "paper_steps": definition.train.steps,
            **part,
            **({"search": search} if search else {}),
        }

    def search(self, run: str) -> dict[str, list[Any]]:
        """Options to be chosen on validation data -> values to try."""
        budget, definition, method = self.budget(run), self.run(run), self.method_of(run)
        found = definition.search if budget.search is None else budget.search
        for option, values in found.items():
            if not values:
                raise SuiteError(f"run {run}: search.{option} is []; expected values to try, or leave it out")
            if option in definition.options:
                raise SuiteError(
                    f"run {run}: options.{option} is {definition.options[option]!r}, but search.{option} replaces it "
                    f"by each of {values}; leave out one of them"
                )
            for value in values:
                declarations.check_options(f"run {run}: search", method, {**definition.options, option: value})
        if found and not self.train_options(run)["validate_every"]:
            raise SuiteError(f"run {run}: search needs train.validate_every: how often to look at validation data")
        return found

    def words(self, run: str) -> set[str]:
        """The texts of the run's specification and of its dataset's definition."""
        return texts(self.specification(run)) | texts(self.dataset_of(run)[1].model_dump())

    def code(self, run: str) -> dict[str, str]:
        """Definition -> hash, of all that training this run uses: see benchmarks.plan.fingerprint."""
        specification = self.specification(run)
        used = {specification["method"], *classes(specification["components"]), *TRAINING}
        used |= set(SEARCHES if specification.get("search") else ())
        return fingerprint(used | self.source_of_data(run), self.words(run))

    def source_of_data(self, run: str) -> set[str]:
        """Where the run's data, or its problem, come from."""
        return set(PROBLEMS if self.dataset_of(run)[1].kind == "problem" else DATA)

    def metric_code(self, run: str, metric: str, options: dict[str, Any]) -> dict[str, str]:
        """Definition -> hash, of all that computing the metric of this run uses besides the training."""
        declared = declarations.metrics()[metric]
        used = {declared.target, *EVALUATION} | self.source_of_data(run)
        return fingerprint(used, self.words(run) | texts(options), prose=True)

    def data(self, run: str) -> str:
        """What the run's data set holds now: see benchmarks.store.content."""
        return content_of(self.dataset_of(run)[1], self.data_root)

    @property
    def data_root(self) -> Path:
        """Where this process looks for data."""
        return Path(os.environ.get("VGB_DATA_ROOT") or "data")
