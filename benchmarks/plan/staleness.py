"""Which results are fresh, stale and why, missing, failed or not run: read from the records, without Snakemake.

A record holds what the run was when its training began, and a metric file what its key was made of. Snakemake itself
sees which files are there and which is newer: what else must be made again, this says (`Freshness.again`), before the
DAG. `status` and `plan` tell the same.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from benchmarks.config import declarations
from benchmarks.errors import SuiteError
from benchmarks.plan import rendered
from benchmarks.plan.rendered import sum_of
from benchmarks.plan.suite import Job, Suite
from benchmarks.store.metric_files import faults, key_of, training_faults
from benchmarks.store.records import Contract, Evaluation, MetricFile, Reference, RunRecord, canonical, read
from methods.training.atomic_files import DamagedError, read_arrays

State = Literal["fresh", "stale", "missing", "failed", "not run"]
SHOWN = 3  # definitions that a line names
UNSETTLED = ("stale", "missing", "failed")  # states of what the next call makes


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


def named_changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """`code of a, b, ...` for the definitions that are others now; nothing where all are the same."""
    names = [name for name in sorted({**old, **new}) if old.get(name) != new.get(name)]
    if not names:
        return []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"code of {', '.join(names[:SHOWN])}{more}"]


def checked(path: Path, kind: Any) -> tuple[Any, str]:
    """(record, ""), (None, "") where there is none, or (None, what is wrong with it)."""
    if not path.exists():
        return None, ""
    try:
        return read(path, kind), ""
    except (SuiteError, DamagedError) as error:
        return None, error.what if isinstance(error, DamagedError) else str(error)


class Freshness:
    """The states of a suite's jobs, from the records below results/<profile>."""

    def __init__(self, suite: Suite, results: Path = Path("results")):
        self.suite, self.folder = suite, results / suite.name
        self.references = self.folder / "references"
        self._codes: dict[str, dict[str, str]] = {}

    @cached_property
    def problems(self) -> dict[str, str]:
        """Problem -> why its reference is to be made; empty where it is there."""
        return {name: self.reference(self.references / f"{name}.json") for name in self.suite.problems}

    def reference(self, path: Path) -> str:
        """Why this reference is to be made."""
        record, damage = checked(path, Reference)
        if record is None:
            return damage or "missing"
        if changed := changes(record.code, self.suite.reference_code(path.stem)):
            return "; ".join(changed)
        if record.status == "failed":
            return f"failed: {record.reason}"
        try:
            read_arrays(path.with_suffix(".npz"))
        except FileNotFoundError:
            return f"{path.with_suffix('.npz')}: missing"
        except DamagedError as error:
            return error.what
        return ""

    @cached_property
    def contracts(self) -> dict[str, str]:
        """The user's runs -> why their contract tests are to be made; empty where they hold."""
        return {run: "; ".join(self.failed_checks(run)) for run in sorted(self.suite.from_file)}

    def failed_checks(self, run: str) -> list[str]:
        """What is wrong with the record of a run's contract tests, or what they found to be wrong."""
        record, damage = checked(self.folder / run / "contract.json", Contract)
        if record is None:
            return [damage or "missing"]
        return record.failed if record.key == self.suite.contract_key(run) else ["of other code, options or data"]

    def code(self, run: str) -> dict[str, str]:
        """Suite.code, once for each run."""
        return self._codes.setdefault(run, self.suite.code(run))

    def changed(self, job: Job, record: RunRecord) -> str:
        """What of the run is no longer as the record says."""
        found = changes(record.specification, job.specification)
        found += named_changes(record.code, self.code(job.run))
        data = self.suite.data(job.run)
        gone = data == "absent" and record.status == "ok"  # what was computed of them remains
        if record.data != data and not gone:
            found.append(f"data {record.data} -> {data}")
        return "; ".join(found)

    def why_train(self, job: Job, record: RunRecord) -> str:
        """Why a run that has a record is to be trained: it is another now, failed, or has lost weights or history."""
        folder = self.folder / job.folder
        if changed := self.changed(job, record):
            return changed
        if record.status == "failed":
            return f"failed: {record.reason}"
        if record.status == "ok":
            weights = folder / "weights.safetensors"
            if not weights.exists():
                return f"{weights}: missing"
            if sum_of(weights) != record.weights_sha256:
                return f"{weights}: damaged (not the file that run.json describes)"
        return next(iter(training_faults(record, folder).values()), "")

    @cached_property
    def jobs(self) -> dict[str, JobState]:
        """Folder -> state of every job of the suite."""
        weights = [self.folder / folder / "weights.safetensors" for folder in self.suite.jobs]
        with ThreadPoolExecutor() as pool:  # gigabytes, perhaps
            list(pool.map(sum_of, filter(Path.exists, weights)))
        found: dict[str, JobState] = {}
        return {folder: self.visit(folder, found) for folder in self.suite.jobs}

    def visit(self, folder: str, found: dict[str, JobState]) -> JobState:
        """The state of one job, after that of the classifier that it needs."""
        if folder in found:
            return found[folder]
        job, place = self.suite.jobs[folder], self.folder / folder
        record, damage = checked(place / "run.json", RunRecord)
        state = found[folder] = JobState(job, record, damage)
        if not damage:
            state.train = "missing" if record is None else self.why_train(job, record)
        state.cells = list(self.untrained(state))
        if record is not None and not state.cells:
            state.cells = [self.cell(job, record, metric) for metric in job.metrics]
        state.evaluate = self.why_evaluate(state, found)
        return state

    def untrained(self, state: JobState) -> Iterator[CellState]:
        """The cells of a run whose training is missing, failed, stale, not run or damaged: all have its state."""
        folder, record, kind, why = self.folder / state.job.folder, state.record, "missing", "not trained"
        if record is None:
            if state.train != "missing":
                kind, why = "stale", state.train
            elif (folder / "checkpoint").exists():
                why = "training has begun; the next call continues it"
        elif record.status == "failed":
            kind, why = "failed", f"training: {record.reason}"
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

        def cell(kind: State, why: str = "") -> CellState:
            return CellState(job.run, job.seed, metric, kind, why)

        wrong = faults(folder, metric)
        if wrong:
            path, what = next(iter(wrong.items()))
            gone = path == folder / f"{metric}.json" and not path.exists()
            return cell("missing", "not evaluated") if gone else cell("stale", what)
        found, entry = read(folder / f"{metric}.json", MetricFile), job.metrics[metric]
        if found.key != key_of(record, declarations.metrics()[metric], entry, self.references):
            old, new = ({key: value for key, value in each.items() if key != "code"} for each in (found.entry, entry))
            why = [*changes(old, new), *named_changes(found.entry.get("code", {}), entry["code"])]
            if found.weights and found.weights != record.weights_sha256:
                why.append("other weights than run.json describes")
            return cell("stale", "; ".join(why) or "another reference or classifier")
        result = found.results[-1]
        if result.status == "failed":
            return cell("failed", result.reason)
        return cell("fresh" if result.status == "ok" else result.status, result.reason)

    def why_evaluate(self, state: JobState, found: dict[str, JobState]) -> str:
        """Why the run is to be evaluated: it is trained again, what it needs is made, or a cell is not settled."""
        job = state.job
        if state.train:
            return "training"
        for file in self.suite.reference_files(job.run):
            folder = str(Path(file).parent.relative_to(f"results/{self.suite.name}"))
            if folder == "references" and self.problems[Path(file).stem]:
                return "reference"
            if folder != job.folder and folder in self.suite.jobs and self.visit(folder, found).evaluate:
                return "classifier"
        evaluated, damage = checked(self.folder / job.folder / "metrics.json", Evaluation)
        if evaluated is None:
            return damage or "missing"
        if set(evaluated.metrics) != set(job.metrics):
            return "other metrics are asked for"
        return "; ".join(dict.fromkeys(f"{c.state}: {c.why}" for c in state.cells if c.state in UNSETTLED))

    def again(self) -> dict[str, str]:
        """File -> why it is to be made, although it may be there: all that Snakemake is told before the DAG."""
        found = {str(self.references / f"{name}.json"): why for name, why in self.problems.items()}
        found |= {str(self.folder / run / "contract.json"): why for run, why in self.contracts.items()}
        for folder, state in self.jobs.items():
            found[str(self.folder / folder / "run.json")] = state.train
            found[str(self.folder / folder / "metrics.json")] = state.evaluate
        found |= rendered.again(self.suite, self.folder)
        return {file: why for file, why in found.items() if why}
