"""Jobs to do, and about how long they take on this machine."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.errors import first_line
from benchmarks.hardware.host import gpu_names, processor
from benchmarks.plan.definitions import gpus_per_job
from benchmarks.plan.estimates import SOURCES, Estimate, Estimator
from benchmarks.plan.staleness import Freshness, JobState
from benchmarks.plan.suite import Suite

SHOWN = 10  # lines of what is made again
FOLLOWS = ("training", "reference", "classifier")  # reasons of a job that waits for another


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


@dataclass
class Todo:
    """One run and seed: estimates of its training (None: it is there) and of the metrics that are to be computed."""

    name: str
    training: Estimate | None
    metrics: list[Estimate] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """What is known of it."""
        return sum(estimate.seconds for estimate in filter(None, [self.training, *self.metrics]))

    def line(self) -> str:
        """For a terminal."""
        says = f"training {self.training.source}, " if self.training else ""
        return f"{self.name}: {says}{len(self.metrics)} metrics: {duration(self.seconds)}"


@dataclass
class Plan:
    """What a call of snakemake would do."""

    suite: Suite
    todo: list[Todo]
    evaluations: int
    references: list[str]
    gpu: bool

    @property
    def trainings(self) -> list[Estimate]:
        """Estimates of the trainings."""
        return [job.training for job in self.todo if job.training is not None]

    @property
    def metrics(self) -> list[Estimate]:
        """Estimates of the metrics."""
        return [estimate for job in self.todo for estimate in job.metrics]

    def wall(self, cores: int) -> float:
        """Seconds on so many cores: the longest job's, or an even share; on a GPU one job runs at a time."""
        seconds = [job.seconds for job in self.todo]
        return sum(seconds) if self.gpu else max(sum(seconds) / cores, max(seconds, default=0.0))

    def jobs(self) -> str:
        """Counts of jobs to do and of all jobs."""
        every, suite = len(self.suite.jobs), self.suite
        return (
            f"profile {suite.name}: {len(self.trainings)} of {every} trainings to do, "
            f"{self.evaluations} of {every} evaluations ({len(self.metrics)} metrics), "
            f"{len(self.references)} of {len(suite.problems)} references"
        )

    def time(self, cores: int) -> str:
        """Estimated time, and of what it is known."""
        unknown = sum(estimate.source == "unknown" for estimate in self.trainings)
        training, evaluation = (sum(e.seconds for e in found) for found in (self.trainings, self.metrics))
        if self.trainings and unknown == len(self.trainings):
            return "time: unknown, as this machine's records hold no training of these methods"
        unit = "GPU" if self.gpu else "core"
        lacking = f", and an unknown time for {unknown} of the trainings" if unknown else ""
        place = "the GPU" if self.gpu else "1 core" if cores == 1 else f"{cores} cores"
        return (
            f"time: about {duration(self.wall(cores))} on {place}{lacking} "
            f"({(training + evaluation) / 3600:.2f} {unit}-hours: training {training / 3600:.2f}, "
            f"evaluation {evaluation / 3600:.2f}; starting Python not counted)"
        )

    def energy(self) -> str:
        """Estimated energy, where records hold any."""
        known = [e.kwh for e in self.trainings if e.kwh is not None]
        if not known:
            return "energy: unknown, as no record of these methods on this machine holds any"
        return f"energy: about {sum(known):.3g} kWh for {len(known)} of {len(self.trainings)} trainings"

    def sources(self) -> list[str]:
        """From what the times were estimated."""
        lines = []
        for what, estimates in (("trainings", self.trainings), ("metrics", self.metrics)):
            counts = Counter(estimate.source for estimate in estimates)
            found = [f"{counts[source]} from {source}" for source in SOURCES if counts[source] and source != "unknown"]
            found += [f"{counts['unknown']} unknown"] if counts["unknown"] else []
            lines += [f"{what}: {', '.join(found)}"] if found else []
        return lines


def todo_of(state: JobState, suite: Suite, estimator: Estimator) -> Todo:
    """Estimates of what is left of one job."""
    job, found = state.job, Todo(state.job.folder, estimator.training(state.job) if state.train else None)
    if state.evaluate:
        left = [cell.metric for cell in state.cells if state.train or cell.state in ("stale", "missing", "failed")]
        found.metrics = [estimator.metric(job, metric) for metric in left if suite.serves(job.run, metric)]
    return found


def plan(suite: Suite, results: Path = Path("results")) -> Plan:
    """What is left to do of the suite, with estimates from the records below `results`."""
    fresh, gpu = Freshness(suite, results), bool(gpus_per_job())
    estimator = Estimator(suite, gpu_names() if gpu else [processor()], results)
    states = [state for state in fresh.jobs.values() if state.train or state.evaluate]
    todo = [todo_of(state, suite, estimator) for state in states]
    references = [name for name, why in fresh.problems.items() if why]
    return Plan(suite, todo, sum(bool(state.evaluate) for state in states), references, gpu)


def announcement(suite: Suite, cores: int, again: dict[str, str]) -> str:
    """What Snakemake says before it starts: jobs and time, and a line for what is made again (file -> why)."""
    lines = [f"again: {file}: {why}" for file, why in again.items() if why not in ("missing", *FOLLOWS)]
    more = [f"again: {len(lines) - SHOWN} more; `python -m benchmarks status` lists them"] if len(lines) > SHOWN else []
    try:
        found = plan(suite)
        return "\n".join([found.jobs(), found.time(cores), *lines[:SHOWN], *more])
    except Exception as error:  # an odd record somewhere: an estimate is no reason to compute nothing
        return "\n".join([f"time: unknown ({type(error).__name__}: {first_line(error)})", *lines[:SHOWN], *more])
