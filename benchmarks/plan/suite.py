"""From tables, figures and claims to jobs: their cells are (run, metric) pairs, and the union is the DAG.

Imports no torch: Snakemake parses this at every call.
"""

import hashlib
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.config import declarations, method_cards, models, user_runs
from benchmarks.config.declarations import ROOT
from benchmarks.config.models import Claim, Figure, Table, listed
from benchmarks.config.published import Published, published_values
from benchmarks.errors import SuiteError, unknown
from benchmarks.plan import user_tables
from benchmarks.plan.definitions import Definitions
from benchmarks.plan.fingerprint import fingerprint, hash_of_file
from benchmarks.store.records import canonical
from methods.training.atomic_files import content_sum

RENDERING = ("config", "plan", "report", "statistics")  # folders whose code the page depends on
# literals of a metric that stand in its results
WRITTEN = ("unit", "kind", "images", "varies", "per_image", "artefact", "every_snapshot")


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


class Suite(Definitions):
    """Everything that benchmarks/*.yml says, checked, for one profile.

    `compare` names tables of which a copy has the runs of `extra_runs` too; nothing else is made unless `only` says so.
    """

    def __init__(
        self,
        profile: str,
        extra_runs: Path | None = None,
        only: list[str] | None = None,
        compare: list[str] | None = None,
    ):
        try:
            super().__init__(profile, extra_runs)
            self.resolve(extra_runs, only or compare, compare)
        except SuiteError as error:
            if extra_runs is None or str(extra_runs) in str(error) or not str(error).startswith("run "):
                raise
            raise SuiteError(f"{extra_runs}: {error}") from None

    def resolve(self, extra_runs: Path | None, only: list[str] | None, compare: list[str] | None) -> None:
        """What is wanted of the definitions, checked."""
        self.extra_runs, self.only, self.compare = extra_runs, only or [], compare or []
        self.from_file = frozenset(models.load_yaml(extra_runs)) if extra_runs else frozenset()
        self.own = set(self.from_file)
        self.tables = models.of_papers("tables", Table)
        self.figures = models.of_papers("figures", Figure)
        self.claims = models.of_papers("claims", Claim)
        # `only` chooses runs; what is measured of a run stays the same, so that nothing is measured twice
        self.everything: dict[str, set[str]] = {}
        self.all_tables, self.all_claims = dict(self.tables), dict(self.claims)
        copies = user_tables.copies(self, self.compare)
        self.everything = dict(self.wanted)
        self.__dict__.pop("wanted")
        if only:
            unknown_names = [n for n in only if n not in self.tables | self.figures | self.claims | self.runs]
            if unknown_names:
                every = self.tables | self.figures | self.claims | self.runs
                raise unknown("only", "table, figure, claim or run", unknown_names[0], every)
            self.tables = {k: v for k, v in self.tables.items() if k in only}
            self.figures = {k: v for k, v in self.figures.items() if k in only}
            self.claims = {k: v for k, v in self.claims.items() if k in only}
            self.own |= set(only) & set(self.runs)
        self.tables |= copies
        if self.own:
            self.tables["own-runs"] = user_tables.table_of(self, alone=bool(only))
            self.__dict__.pop("wanted")  # the table widens it
        self.check()

    def check(self) -> None:
        """SuiteError at the first thing that cannot be: before any job starts."""
        method_cards.descriptions(self.runs)
        for name, options in self.profile.metrics.items():
            where = f"benchmarks/profiles.yml: {self.name}: metrics"
            if name not in declarations.metrics():
                raise unknown(where, "metric", name, declarations.metrics())
            declarations.check_options(where, declarations.metrics()[name], options)
        for run in self.wanted:
            for metric in self.wanted[run]:
                if metric not in declarations.metrics():
                    raise unknown(f"run {run}", "metric", metric, declarations.metrics())
            self.specification(run)

    def narrow(self, tables: dict[str, Table]) -> None:
        """Let these tables be everything."""
        self.tables, self.figures, self.claims, self.own = tables, {}, {}, set()
        for cached in ("wanted", "jobs", "problems"):
            self.__dict__.pop(cached, None)

    def choose(self, run: str, metric: str | list[str]) -> str:
        """The first of the metrics that the run can serve; the first of all if it can serve none."""
        names = listed(metric)
        for name in names:
            if name not in declarations.metrics():
                raise unknown(f"run {run}", "metric", name, declarations.metrics())
            if self.serves(run, name):
                return name
        return names[0]

    def serves(self, run: str, metric: str) -> bool:
        """Whether the run can answer what the metric asks."""
        return set(declarations.metrics()[metric].literals.get("needs", ())) <= self.provides(run)

    def cells(self, table: Table) -> Iterator[tuple[models.Cell, models.Cell, str, str]]:
        """(row, column, run, metric) of every cell that is trained here."""
        for row in table.rows:
            for column in table.columns:
                run, metric = row.runs.get(column.label, row.run or column.run), row.metric or column.metric
                if run is not None and row.key:
                    run = run.replace("{row}", row.key)
                if run is not None and metric is not None and column.label not in row.skip:
                    yield row, column, run, self.choose(run, metric)

    @cached_property
    def wanted(self) -> dict[str, set[str]]:
        """Run -> metrics that a table, figure or claim asks for; all that apply, of a run that only its user names."""
        found: dict[str, set[str]] = {}
        for table in self.tables.values():
            for _, _, run, metric in self.cells(table):
                found.setdefault(run, set()).add(metric)
        for figure in self.figures.values():
            for run in figure.runs.values():
                found.setdefault(run, set()).update(figure.needs)
        for claim in self.claims.values():
            for quantity in claim.quantities():
                for run in quantity.runs():
                    found.setdefault(run, set()).update(self.with_beside(run, quantity.metric))
        for run in self.own:
            asked = None if run in self.from_file else self.everything.get(run)
            found.setdefault(run, set()).update(asked or {m for m in declarations.metrics() if self.serves(run, m)})
        for run in list(found):
            if self.judged(run, found[run]):
                found.setdefault(self.dataset_of(run)[1].classifier, set()).add("accuracy")
        return found

    def with_beside(self, run: str, metric: str) -> set[str]:
        """The metric of a claim, and those that say how far it can be off or whether it means anything, if served."""
        literals = declarations.metrics()[metric].literals if metric in declarations.metrics() else {}
        beside = {literals[key] for key in ("beside", "like_data") if key in literals}
        return {metric, *(name for name in beside if self.serves(run, name))}

    def judged(self, run: str, metrics: set[str]) -> bool:
        """Whether one of the metrics of this run needs the dataset's classifier, and there is one."""
        needed = any("classifier" in declarations.metrics()[m].literals.get("needs", ()) for m in metrics)
        return needed and "classifier" in self.provides(run)

    def metric_options(self, run: str) -> dict[str, dict[str, Any]]:
        """Metric -> options and code hash, for the metrics asked of this run.

        `settled_at`: the round before the last at which it is evaluated too, see benchmarks/plan/settling.py.
        """
        found = {}
        wanted = sorted(self.wanted[run] | self.everything.get(run, set()))
        images, settling_round = self.images_of(run, wanted), self.settling_round(run)
        for metric in wanted:
            declared = declarations.metrics()[metric]
            options = self.profile.metrics.get(metric, {})
            if declared.literals.get("likelihood") and images is not None:
                options = {**options, "n": images}
            kept = {key: declared.literals[key] for key in WRITTEN if key in declared.literals}
            found[metric] = {"options": options, "code": self.metric_code(run, metric, options), "declares": kept}
            if settling_round is not None and (run, metric) in self.beside_published:
                found[metric]["settled_at"] = settling_round
            if declared.literals.get("files"):  # weights that may be missing now and be there at the next call
                found[metric]["files"] = [
                    file for file in declared.literals["files"] if (self.data_root / file).exists()
                ]
        return found

    def published_cells(self) -> Iterator[tuple[Published, str, str]]:
        """(published value, run, metric) of every cell that is compared with one; a row that is only cited is not."""
        values = published_values()
        for name, table in self.all_tables.items():
            for row, column, run, metric in self.cells(table):
                printed = values.get((name, row.label, column.label))
                if printed is not None and not row.cited:
                    yield printed, run, metric

    @cached_property
    def beside_published(self) -> set[tuple[str, str]]:
        """(run, metric) of the cells that are compared with a published value, whatever `only` and `compare` choose."""
        return {(run, metric) for _, run, metric in self.published_cells()}

    @cached_property
    def likelihood_images(self) -> dict[str, int]:
        """Run -> how many test images its likelihoods take: the fewest of any in the tables that it stands in.

        So cells of a row and of a column are of the same images, whatever a profile says of each metric. Copies with a
        user's own runs change nothing for the suite's.
        """
        ours = {run: metrics for run, metrics in self.everything.items() if run not in self.from_file}
        found = {run: n for run, metrics in ours.items() if (n := self.fewest_images(run, metrics))}
        groups = [{run for *_, run, _ in self.cells(table) if run in found} for table in self.all_tables.values()]
        for _ in groups:  # at most so many steps from one table to the last that it shares runs with
            for group in groups:
                found |= dict.fromkeys(group, min((found[run] for run in group), default=0))
        return found

    def fewest_images(self, run: str, metrics: Iterable[str]) -> int | None:
        """The least `n` of the likelihoods among these metrics that the run can serve; None without one."""
        declared = [declarations.metrics()[name] for name in metrics if self.serves(run, name)]
        likelihoods = [m for m in declared if m.literals.get("likelihood")]
        numbers = [self.profile.metrics.get(m.name, {}).get("n", m.parameters["n"].default) for m in likelihoods]
        return min(numbers, default=None)

    def images_of(self, run: str, metrics: Iterable[str]) -> int | None:
        """As `likelihood_images`; a user's own run takes as many as the suite's on the same data.

        The same whatever `only` and `compare` choose, which jobs are not told.
        """
        if run in self.likelihood_images:
            return self.likelihood_images[run]
        data = self.dataset_of(run)[0]
        beside = [n for other, n in self.likelihood_images.items() if self.dataset_of(other)[0] == data]
        return min(beside) if beside and run in self.from_file else self.fewest_images(run, metrics)

    def seeds(self, run: str) -> int:
        """How many seeds this run has in this profile."""
        seeds = max(self.budget(run).seeds or 1, self.profile.seeds)
        seeds = max(seeds, min(self.needed_seeds.get(run, 0), self.profile.claim_seeds))
        return min(seeds, self.profile.max_seeds or seeds)

    @cached_property
    def needed_seeds(self) -> dict[str, int]:
        """Run -> the most seeds that one of its claims needs or that its paper's numbers are over.

        The same whatever `only` chooses.
        """
        found: dict[str, int] = {}
        for claim in self.all_claims.values():
            for run in (run for quantity in claim.quantities() for run in quantity.runs()):
                found[run] = max(found.get(run, 0), claim.seeds)
        for printed, run, _ in self.published_cells():
            found[run] = max(found.get(run, 0), printed.runs or 0)
        return found

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
        used = dict(self.dataset_of(run) for run in self.wanted)
        return sorted(name for name, definition in used.items() if definition.kind == "problem")

    def command_options(self, run: str) -> str:
        """Options of a job's command; the runs file only where the run is in it, so that adding one reruns no other."""
        runs = f" --runs {shlex.quote(str(self.extra_runs))}" if run in self.from_file else ""
        return f"--profile {self.name}{runs}"

    def report_options(self) -> str:
        """Options of the commands that see all runs."""
        runs = f" --runs {shlex.quote(str(self.extra_runs))}" if self.extra_runs else ""
        named = {"only": self.only, "compare": self.compare}
        chosen = "".join(f" --{option} {' '.join(names)}" for option, names in named.items() if names)
        return f"--profile {self.name}{runs}{chosen}"

    @property
    def reports(self) -> Path:
        """Where tables, figures and the page go: reports/<profile>, of a selection reports/<profile>/only/<names>."""
        folder, copies = Path("reports") / self.name, (name for name, table in self.tables.items() if table.copy_of)
        joined = "+".join(sorted({*self.only, *copies} - set(self.compare)))
        if not joined:
            return folder
        if self.extra_runs is not None and not self.compare and not self.from_file <= set(self.only):
            joined += f"+{user_runs.stem_of(self.extra_runs)}"
        return folder / "only" / (joined if len(joined) <= 80 else f"{joined[:60]}-{content_sum([(joined, b'')])[:8]}")

    def contract_key(self, run: str) -> str:
        """Hash of all that the contract tests of this run depend on."""
        tests = fingerprint({"benchmarks.jobs.contract:checks"}, self.words(run))
        parts = (canonical(self.specification(run)), canonical(self.code(run)), canonical(tests), self.data(run))
        return content_sum((part, b"") for part in parts)[:16]

    def reference_files(self, run: str) -> list[str]:
        """What evaluating the run needs besides its weights: a problem's reference, an evaluated classifier."""
        name, definition = self.dataset_of(run)
        if definition.kind == "problem":
            return [f"results/{self.name}/references/{name}.json"]
        if self.judged(run, self.wanted[run] | self.everything.get(run, set())):
            return [f"results/{self.name}/{definition.classifier}/seed0/metrics.json"]
        return []

    def reference_code(self, problem: str) -> dict[str, str]:
        """Definition -> hash, of what a problem's reference uses, and its budget."""
        sampled = self.datasets[problem].sampler
        used = {"benchmarks.posteriors.references:exact_draws"}
        used |= {"benchmarks.posteriors.references:hmc_draws"} if sampled else set()
        budget = self.profile.reference if sampled else {"exact": self.profile.reference["exact"]}
        return fingerprint(used, {problem}) | {str(name): str(number) for name, number in budget.items()}

    def report_code(self) -> str:
        """Hash of what tables, figures, claims and the page depend on, their YAML and published values included."""
        folder = ROOT / "benchmarks"
        texts = [*folder.glob("papers/*/*.*"), *folder.glob("papers/*.yml"), *folder.glob("report/templates/*")]
        modules = [file for room in RENDERING for file in sorted((folder / room).glob("*.py"))]
        digest = hashlib.sha256("".join(map(hash_of_file, modules)).encode())
        for path in sorted(texts):
            digest.update(path.read_bytes())
        digest.update(method_cards.descriptions(self.runs).encode())
        return digest.hexdigest()[:16]
