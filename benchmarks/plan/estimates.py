"""What is left to do takes how long: from the speeds that this machine's records hold.

Work is counted as multiply-adds for an image, from the widths of the networks alone. A run that was never measured is
scaled from the same method's nearest one: of 56 published laptop trainings estimated so, half were within a factor 1.6
and nine tenths within 3.3 of what was measured (tests/plan/test_plan.py).
"""

import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.plan.suite import Job, Suite

OVERHEAD = 2e5  # what an image costs whatever the networks are, in multiply-adds: fits quick and laptop on one core
GROWING = ("DeconvStack", "Decoder", "Generator")  # convolutions whose maps grow from layer to layer
SOURCES = ("this run", "same networks", "same method, scaled", "same metric", "unknown")


def chain(part: dict[str, Any], x_shape: tuple[int, ...]) -> float:
    """Multiply-adds of one part's own `channels` and `hidden`, for one image."""
    channels, hidden = part.get("channels"), part.get("hidden")
    inputs, total = float(math.prod(x_shape)), 0.0
    if isinstance(channels, list):
        strides = part.get("strides") or [1] * len(channels)
        grows = any(word in part["class"] for word in GROWING)
        area = inputs / x_shape[0] / (math.prod(strides) ** 2 if grows else 1)
        for before, after, stride in zip([x_shape[0], *channels], channels, strides, strict=False):
            area = area if grows else area / stride**2
            total += area * before * after * part.get("kernel", 5) ** 2
            area = area * stride**2 if grows else area
        inputs = inputs if grows else channels[-1] * area
    if isinstance(hidden, list):
        total += sum(a * b for a, b in zip([inputs, *hidden], hidden, strict=False))
    return total


def work(specification: dict[str, Any], x_shape: tuple[int, ...]) -> float:
    """Multiply-adds for an image by all networks of a run, by their widths; a proxy, not a count."""
    shape = x_shape if len(x_shape) == 3 and math.prod(x_shape) else (1, 1, max(specification["latent_dim"], 1))
    waiting, total = [(part, 1) for part in specification["components"].values()], float(math.prod(shape))
    while waiting:
        part, copies = waiting.pop()
        copies *= part.get("copies", 1)
        total += copies * chain(part, shape)
        waiting += [(inner, copies) for inner in part.values() if isinstance(inner, dict)]
    return total


@dataclass(frozen=True)
class Speed:
    """How fast one training was: seconds, and kWh where they were measured, for an image."""

    profile: str
    run: str
    specification: dict[str, Any]
    seconds: float
    kwh: float | None


@dataclass(frozen=True)
class Estimate:
    """Seconds (and kWh) of a job, and by which of SOURCES."""

    seconds: float = 0.0
    source: str = "unknown"
    kwh: float | None = None


def records_of(results: Path) -> Iterable[tuple[Path, dict[str, Any]]]:
    """(folder, run.json) of every finished training below `results`; what cannot be used is passed over."""
    for path in sorted(results.glob("*/*/seed*/run.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["status"] == "ok" and usable(record):
                yield path.parent, record
        except (OSError, ValueError, KeyError, TypeError):
            continue


def usable(record: dict[str, Any]) -> bool:
    """Whether a record has all that estimates use, of the kinds that they use."""
    try:
        speed_of(record)
        work(record["specification"], (1, 8, 8))
        return same_networks(record["specification"], record["specification"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def speed_of(record: dict[str, Any]) -> Speed | None:
    """The speed that a run's record holds, if it holds one."""
    rate, images = record["images_per_second"], record["steps"] * record["specification"]["train"]["batch_size"]
    if not rate or not images:
        return None
    kwh = record.get("energy_kwh")
    each = kwh / images if kwh is not None else None
    return Speed(record["profile"], record["run"], record["specification"], 1 / rate, each)


def same_networks(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs do the same work for an image."""
    keys = ("method", "components", "options", "latent_dim", "dataset")
    return all(one[k] == other[k] for k in keys) and one["train"]["precision"] == other["train"]["precision"]


class Estimator:
    """Estimates for the jobs of a suite from records below `results` made on `hardware`."""

    def __init__(self, suite: Suite, hardware: Iterable[str], results: Path = Path("results")):
        self.suite, names = suite, set(hardware)
        found = [(folder, record) for folder, record in records_of(results) if record.get("hardware") in names]
        self.speeds = [speed for _, record in found if (speed := speed_of(record))]
        self.seconds: dict[str, list[tuple[str, str, Any, float]]] = {}  # metric -> (profile, run, options, seconds)
        for folder, record in found:
            for path in folder.glob("*.json"):
                if path.stem.partition(".")[0] not in ("run", "metrics"):
                    self.learn(path, record["profile"], record["run"])

    def learn(self, path: Path, profile: str, run: str) -> None:
        """Take the seconds of one metric file."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            results, options = content["results"], content.get("entry", {}).get("options")
            if results[-1]["status"] == "ok":
                seconds = sum(result["seconds"] for result in results)
                self.seconds.setdefault(path.stem, []).append((profile, run, options, seconds))
        except (ValueError, KeyError, TypeError):
            return

    def shape(self, dataset: str) -> tuple[int, ...]:
        """Shape of an image; of a problem, and of anyone's own images, unknown."""
        return self.suite.datasets[dataset].x_shape if dataset in self.suite.datasets else (0,)

    def training(self, job: Job) -> Estimate:
        """Seconds to train: the run's own speed here, the same networks', or the same method's nearest, scaled."""
        wanted = json.loads(json.dumps(job.specification))
        tries = math.prod(len(values) for values in wanted.get("search", {}).values())
        images = wanted["train"]["steps"] * wanted["train"]["batch_size"] * tries
        equal = [s for s in self.speeds if same_networks(s.specification, wanted)]
        own = [s for s in equal if (s.profile, s.run) == (self.suite.name, job.run)]
        for source, found in (("this run", own), ("same networks", equal)):
            if found:
                kwh = [s.kwh for s in found if s.kwh is not None]
                energy = images * statistics.median(kwh) if kwh else None
                return Estimate(images * statistics.median(s.seconds for s in found), source, energy)
        same = [s for s in self.speeds if s.specification["method"] == wanted["method"]]
        if not same:
            return Estimate()
        size = work(wanted, self.shape(wanted["dataset"])) + OVERHEAD

        def ratio(speed: Speed) -> float:
            return size / (work(speed.specification, self.shape(speed.specification["dataset"])) + OVERHEAD)

        near = min(same, key=lambda speed: abs(math.log(ratio(speed))))
        scale = images * ratio(near)
        return Estimate(near.seconds * scale, "same method, scaled", None if near.kwh is None else near.kwh * scale)

    def metric(self, job: Job, metric: str) -> Estimate:
        """Seconds to evaluate: the run's own here, else the median of the metric here, or with the same options."""
        known = self.seconds.get(metric, [])
        here = [found for found in known if found[0] == self.suite.name]
        own = [found for found in here if found[1] == job.run]
        equal = [found for found in known if found[2] == job.metrics[metric]["options"]]
        for source, found in (("this run", own), ("same metric", here), ("same metric", equal)):
            if found:
                return Estimate(statistics.median(seconds for *_, seconds in found), source)
        return Estimate()
