"""Which results are fresh, stale and why, missing, failed or not run: read from the records, without Snakemake.

A record holds what the run was when its training began, and a metric file what its key was made of. Snakemake keeps
its own account of the same things; `train` and `evaluate` of a JobState are what it would start (tests compare the
two). Only here: a result that was deleted or damaged behind Snakemake's back.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from benchmarks import catalogue
from benchmarks.errors import SuiteError
from benchmarks.jobs.metric_files import key_of
from benchmarks.records import Evaluation, MetricFile, RunRecord, canonical, read
from benchmarks.suite import Job, Suite
from methods.files import DamagedError

State = Literal["fresh", "stale", "missing", "failed", "not run"]
OLDER = "recorded by a version that did not say of which code"


@dataclass(frozen=True)
class CellState:
    """One metric of one run and seed, and why it is not fresh."""

    run: str
    seed: int
    metric: str
    state: State
    why: str = ""

    def line(self) -> str:
        """For a terminal."""
        return f"{self.run} seed {self.seed} {self.metric}: {self.state}" + (f": {self.why}" if self.why else "")


@dataclass
class JobState:
    """One run and seed: why it is to be trained and evaluated (empty: it is not), and its cells."""

    job: Job
    record: RunRecord | None
    train: str = ""
    evaluate: str = ""
    cells: list[CellState] = field(default_factory=list)


def counts(cells: Iterable[CellState]) -> str:
    """`3 fresh, 1 stale`, in the order of State."""
    found = Counter(cell.state for cell in cells)
    return ", ".join(f"{found[state]} {state}" for state in get_args(State) if found[state])


def by_run(cells: Iterable[CellState]) -> list[str]:
    """A line for each run, and below it a line for each cause with the metrics or seeds that it concerns."""
    runs: dict[str, list[CellState]] = {}
    for cell in cells:
        runs.setdefault(cell.run, []).append(cell)
    lines = []
    for run, group in runs.items():
        lines.append(f"{run}: {counts(group)}")
        causes: dict[tuple[str, str], list[CellState]] = {}
        for cell in group:
            causes.setdefault((cell.state, cell.why), []).append(cell)
        for (state, why), found in causes.items():
            if state != "fresh":
                metrics = dict.fromkeys(cell.metric for cell in found)
                which = "" if len(found) == len(group) else f" {', '.join(metrics)}"
                lines.append(f"  {state}{which}: {why}")
    return lines


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(key.key.key, value) of a nested mapping; an empty one is a value."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """`key old -> new` for each key whose value differs as JSON."""
    before, after = (dict(leaves(json.loads(canonical(d)))) for d in (old, new))
    pairs = [(key, before.get(key, "absent"), after.get(key, "absent")) for key in {**before, **after}]
    return [f"{key} {a} -> {b}" for key, a, b in pairs if a != b]


def checked(path: Path, kind: Any) -> tuple[Any, str]:
    """(record, ""), (None, "") where there is none, or (None, what is wrong with it)."""
    if not path.exists():
        return None, ""
    try:
        return read(path, kind), ""
    except (SuiteError, DamagedError) as error:
        return None, f"unreadable: {error}"


class Freshness:
    """The states of a suite's jobs, from the records below results/<profile>."""

    def __init__(self, suite: Suite, results: Path = Path("results")):
        self.suite, self.folder = suite, results / suite.name
        self.references = self.folder / "references"
        self._codes: dict[str, str] = {}

    @cached_property
    def problems(self) -> dict[str, str]:
        """Problem -> why its reference is to be made; empty where it is there."""
        return {name: self.reference(self.references / f"{name}.json") for name in self.suite.problems}

    def reference(self, path: Path) -> str:
        """Why this reference is to be made."""
        if not path.exists():
            return "missing"
        try:
            code = json.loads(path.read_text(encoding="utf-8")).get("code", "")
        except (ValueError, AttributeError):
            return ""  # damaged, but there: Snakemake leaves it
        now = self.suite.reference_code()
        return "" if code == now else f"code {code} -> {now}" if code else OLDER

    def code(self, run: str) -> str:
        """Suite.code, once for each run."""
        return self._codes.setdefault(run, self.suite.code(run))

    def why_train(self, job: Job, record: RunRecord) -> str:
        """What of the run is no longer as the record says."""
        found = changes(record.specification, job.specification)
        if not record.code:
            return "; ".join([*found, OLDER])
        if record.code != self.code(job.run):
            found.append(f"code {record.code} -> {self.code(job.run)}")
        data = self.suite.data_state(job.run, job.seed)
        if record.data_state != data:
            found.append(f"data {record.data_state} -> {data}")
        return "; ".join(found)

    @cached_property
    def jobs(self) -> dict[str, JobState]:
        """Folder -> state of every job of the suite."""
        found: dict[str, JobState] = {}
        return {folder: self.visit(folder, found) for folder in self.suite.jobs}

    def visit(self, folder: str, found: dict[str, JobState]) -> JobState:
        """The state of one job, after that of the classifier that it needs."""
        if folder in found:
            return found[folder]
        job, place = self.suite.jobs[folder], self.folder / folder
        record, damage = checked(place / "run.json", RunRecord)
        state = found[folder] = JobState(job, record)
        if record is not None:
            state.train = self.why_train(job, record)
        elif not damage and not (place / "metrics.json").exists():
            state.train = "missing"
        state.cells = list(self.untrained(state, damage))
        if record is not None and not state.cells:
            state.cells = [self.cell(job, record, metric) for metric in job.metrics]
        state.evaluate = self.why_evaluate(state, damage, found)
        if state.evaluate and record is None and not damage:
            state.train = "missing"
        return state

    def untrained(self, state: JobState, damage: str) -> Iterator[CellState]:
        """The cells of a run whose training is missing, failed, stale, not run or damaged: all have its state."""
        folder, record, kind, why = self.folder / state.job.folder, state.record, "missing", "not trained"
        if damage:
            kind, why = "stale", damage
        elif record is None:
            aside, _ = checked(folder / "run.failed.json", RunRecord)
            if aside is not None:
                kind, why = "failed", f"training: {aside.reason}; the next call tries again"
            elif (folder / "metrics.json").exists():
                why = "run.json was deleted; delete metrics.json too"
            elif (folder / "checkpoint").exists():
                why = "training has begun; the next call continues it"
        elif state.train:
            kind, why = "stale", f"training: {state.train}"
        elif record.status != "ok":
            kind, why = record.status, f"training: {record.reason}"
        else:
            return
        for metric in state.job.metrics:
            yield CellState(state.job.run, state.job.seed, metric, kind, why)

    def cell(self, job: Job, record: RunRecord, metric: str) -> CellState:
        """The state of one metric of a trained run."""
        folder = self.folder / job.folder
        found, damage = checked(folder / f"{metric}.json", MetricFile)

        def cell(kind: State, why: str = "") -> CellState:
            return CellState(job.run, job.seed, metric, kind, why)

        evaluated, _ = checked(folder / "metrics.json", Evaluation)
        if damage:
            return cell("stale", f"{damage}; delete metrics.json too")
        if found is None:
            deleted = evaluated is not None and metric in evaluated.metrics
            return cell("missing", "deleted; delete metrics.json too" if deleted else "not evaluated")
        entry = job.metrics[metric]
        if found.key != key_of(record, catalogue.metrics()[metric], entry, self.references):
            why = changes(found.entry, entry) if found.entry else [OLDER]
            if found.weights and found.weights != record.weights_sha256:
                why.append("other weights than run.json describes")
            return cell("stale", "; ".join(why) or "another reference or classifier")
        result = found.results[-1]
        if result.status == "failed" and evaluated is None:
            return cell("failed", f"{result.reason}; the next call tries again")
        return cell("fresh" if result.status == "ok" else result.status, result.reason)

    def why_evaluate(self, state: JobState, damage: str, found: dict[str, JobState]) -> str:
        """Why Snakemake would evaluate: what it needs is new, its metrics are others, or it never finished."""
        job = state.job
        if state.train or damage:
            return "training"
        for file in self.suite.reference_files(job.run):
            folder = str(Path(file).parent.relative_to(f"results/{self.suite.name}"))
            if folder == "references" and self.problems[Path(file).stem]:
                return "reference"
            if folder != job.folder and folder in self.suite.jobs and self.visit(folder, found).evaluate:
                return "classifier"
        path = self.folder / job.folder / "metrics.json"
        if not path.exists():
            return "missing"
        evaluated, _ = checked(path, Evaluation)
        if evaluated is not None and set(evaluated.metrics) != set(job.metrics):
            return "other metrics are asked for"
        stale = [c for c in state.cells if c.state == "stale" and not c.why.startswith("unreadable")]
        return "; ".join(dict.fromkeys(cell.why for cell in stale))
