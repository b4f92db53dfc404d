"""What the jobs do: train a run, evaluate it, make a reference. Failures become records, not tracebacks."""

import hashlib
import itertools
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks import datasets, energy
from benchmarks.config import Dataset, dataset_named, load_file
from benchmarks.devices import choose_device, precision_on, prepare
from benchmarks.errors import NotRunError, SuiteError, first_line
from benchmarks.fractions import part_of
from benchmarks.metric_files import training_faults
from benchmarks.problems import problem_named
from benchmarks.provenance import commit, data_sha256, environment_sha256, hardware, versions
from benchmarks.records import RunRecord, canonical, read, write
from methods.build import build_method
from methods.checkpoint import load_weights, read_tensors
from methods.data import Images
from methods.files import DamagedError, WriteError, content_sum, file_sum, replacing
from methods.labels import HIDDEN
from methods.method import Method
from methods.networks import lay_out
from methods.train import ForeignCheckpointError, Interrupted, NonFiniteLossError, Trainer, settings_from

FINISHED = "trained.json"  # the record once more: Snakemake deletes run.json when a call is killed after it was written


def seed_of(run: str, seed: int, purpose: str) -> int:
    """One root seed for each (run, seed), split by name: init, data, noise, evaluation."""
    digest = hashlib.sha256(f"{run}/{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def open_data(name: str, root: Path, device: torch.device) -> tuple[datasets.Data | None, Any, Images]:
    """(data, problem, training images): one of the first two is None."""
    definition = dataset_named("run", name, load_file("datasets.yml", Dataset))
    if definition.kind == "problem":
        return None, problem_named(name).to(device), Images(torch.zeros(1, 0, dtype=torch.uint8, device=device))
    data = datasets.load(name, definition, root, device)
    return data, None, data.train


def with_options(specification: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The specification with some of the method's options replaced."""
    return {**specification, "options": {**specification["options"], **options}}


def build(specification: dict[str, Any], images: Images, problem: Any, seed: int) -> Method:
    """The run's method with its initial weights."""
    torch.manual_seed(seed_of(specification["run"], seed, "init"))
    method = build_method(specification, images.x_shape, problem).to(images.pixels.device)
    return lay_out(method)


def validation(specification: dict[str, Any], data: datasets.Data | None) -> Callable[[Method], float] | None:
    """Mean validation loss on held-out images, lower is better; None unless the run asks for it."""
    if not specification["train"]["validate_every"]:
        return None
    if data is None or not len(data.validation_x):
        raise SuiteError(f"run {specification['run']}: validate_every needs a dataset with a validation split")
    from benchmarks.trained import batch_of

    x, y = data.validation_x, data.validation_y
    labels = [None] * len(x) if y is None else y.split(1000)
    batches = [batch_of(*pair) for pair in zip(x.split(1000), labels, strict=False)]

    def score(method: Method) -> float:
        method.eval()
        with torch.no_grad():
            found = float(torch.stack([method.validation_loss(batch) for batch in batches]).mean())
        method.train()
        return found

    return score


def blank_record(specification: dict[str, Any], seed: int, profile: str, code: str, root: Path) -> RunRecord:
    """The record of a training that is about to begin: failed until shown otherwise."""
    head = commit()
    return RunRecord(
        run=specification["run"],
        seed=seed,
        profile=profile,
        status="failed",
        reason="unknown",
        specification=specification,
        dataset=specification["dataset"],
        code=code,
        data_state=dataset_named("run", specification["dataset"], load_file("datasets.yml", Dataset)).state(root),
        paper_steps=specification["paper_steps"],
        precision=specification["train"]["precision"],
        versions=versions(),
        environment_sha256=environment_sha256(),
        commit=head,
        dirty=head.endswith("+") if head else None,
        threads=torch.get_num_threads(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def play(trainer: Trainer) -> dict[str, Any]:
    """Train to the end. A checkpoint of another specification (the run was edited), or a damaged one, is set aside."""
    try:
        return trainer.run()
    except (ForeignCheckpointError, DamagedError) as error:
        aside = trainer.checkpoint.parent.with_name(f"checkpoint.stale.{time.time_ns()}")
        trainer.checkpoint.parent.rename(aside)
        print(f"{str(error).partition(';')[0]}: set aside as {aside.name}, starting afresh", file=sys.stderr)
        return trainer.run()


def candidates(specification: dict[str, Any]) -> list[dict[str, Any]]:
    """Each combination of the options that the run searches; one empty one where it searches none."""
    search = specification.get("search", {})
    return [dict(zip(search, values, strict=True)) for values in itertools.product(*search.values())]


def training_part(specification: dict[str, Any], images: Images, seed: int) -> Images:
    """The images that the run may use; runs on the same data with the same seed get the same ones."""
    if "fraction" not in specification:
        return images
    number = seed_of(specification["dataset"], seed, "fraction")
    return part_of(images, specification["fraction"], specification["rest"], number)


def data_key(images: Images) -> str:
    """A short hash of the training images: of how many there are, and of 1,000 of them and their labels."""
    chosen = torch.linspace(0, len(images) - 1, min(len(images), 1000), dtype=torch.float64).long()
    tensors = [images.pixels] if images.labels is None else [images.pixels, images.labels]
    return content_sum((str(tuple(t.shape)), t[chosen].cpu().numpy().tobytes()) for t in tensors)[:16]


@dataclass(frozen=True)
class Setting:
    """What every candidate of one training shares: its record, images, score on validation data, and how to save."""

    record: RunRecord
    images: Images
    problem: Any
    score: Callable[[Method], float] | None
    code: str
    checkpoint_seconds: float

    def identity(self, specification: dict[str, Any]) -> dict[str, Any]:
        """All that determines the weights."""
        seed, data = self.record.seed, data_key(self.images)
        return {"specification": canonical(specification), "code": self.code, "seed": seed, "data": data}

    def ended(self, weights: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
        """How the training that left these weights ended; None if there are none, or others, or damaged ones."""
        try:
            metadata = read_tensors(weights)[1] if weights.exists() else {}
        except DamagedError as error:
            print(f"{error.what}: training again", file=sys.stderr)
            return None
        return metadata["found"] if metadata.get("identity") == identity else None

    def train(self, tried: dict[str, Any], place: Path) -> dict[str, Any]:
        """Train with the options `tried` in `place`, or read how that ended: a killed search continues behind it."""
        run, seed = self.record.run, self.record.seed
        specification = with_options(self.record.specification, tried)
        identity = self.identity(specification)
        if tried and (found := self.ended(place / "weights.safetensors", identity)) is not None:
            return found
        method = build(specification, self.images, self.problem, seed)
        torch.manual_seed(seed_of(run, seed, "noise"))
        meter = energy.Meter(self.images.pixels.device)
        trainer = Trainer(
            method,
            self.images,
            settings_from(specification["train"]),
            place,
            seed_of(run, seed, "data"),
            label=f"{run} seed {seed}" + "".join(f" {k} {v}" for k, v in tried.items()),
            checkpoint_seconds=self.checkpoint_seconds,
            identity=identity,
            validate=self.score,
            costs=meter,
        )
        found = play(trainer) | {"score": trainer.best} | meter.says()
        found["parameters"] = {n: sum(p.numel() for p in player.parameters()) for n, player in trainer.players.items()}
        more = {"identity": identity, "found": found} if tried else {}
        trainer.finish({"run": run, "specification": canonical(specification), **more})
        return found


def search(setting: Setting, folder: Path) -> dict[str, Any]:
    """Train every candidate and keep the best on validation data; what the record says of it."""
    tries = candidates(setting.record.specification)
    places = [folder / "search" / str(number) if tried else folder for number, tried in enumerate(tries)]
    ends = [setting.train(tried, place) for tried, place in zip(tries, places, strict=True)]
    best = min(range(len(tries)), key=lambda number: ends[number]["score"])
    if tries[best]:
        for name in ("weights.safetensors", "history.parquet"):
            with replacing(folder / name) as temporary:
                shutil.copyfile(places[best] / name, temporary)
    return {
        "steps": int(ends[best]["steps"]),
        "seconds": round(sum(end["seconds"] for end in ends), 2),
        "images_per_second": round(ends[best]["images_per_second"], 1),
        "parameters": ends[best]["parameters"],
        "chosen": tries[best],
        "search_scores": {canonical(tried): end["score"] for tried, end in zip(tries, ends, strict=True) if tried},
        **energy.total(ends),
    }


def train_to_end(
    record: RunRecord, folder: Path, root: Path, device: torch.device, code: str, every: float
) -> RunRecord:
    """Train what the record describes (or continue) and write its weights; the record, completed."""
    data, problem, images = open_data(record.dataset, root, device)
    images = training_part(record.specification, images, record.seed)
    prepare(device, record.precision)
    setting = Setting(record, images, problem, validation(record.specification, data), code, every)
    identity = content_sum([("", canonical(setting.identity(record.specification)).encode())])[:16]
    finished = finished_before(folder, identity)
    if finished is not None:
        return finished
    found = search(setting, folder)
    found |= {
        "identity": identity,
        "status": "ok",
        "reason": "",
        "device": str(device),
        "hardware": hardware(device),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "precision": precision_on(device, record.precision),
        "data_sha256": data_sha256(images),
        "images": len(images),
        "labelled_images": 0 if images.labels is None else int((images.labels != HIDDEN).sum()),
        "weights_sha256": file_sum(folder / "weights.safetensors"),
    }
    record = record.model_copy(update=found)
    write(folder / FINISHED, record)
    for superseded in ("checkpoint", "search"):
        shutil.rmtree(folder / superseded, ignore_errors=True)
    return record


def finished_before(folder: Path, identity: str) -> RunRecord | None:
    """The record of this very training, if it has ended already and its weights are whole."""
    weights = folder / "weights.safetensors"
    try:
        record = read(folder / FINISHED, RunRecord)
    except (SuiteError, DamagedError):
        return None
    whole = record.identity == identity and weights.exists() and file_sum(weights) == record.weights_sha256
    return record if whole and not training_faults(record, folder, contents=True) else None


def train(
    specification: dict[str, Any],
    seed: int,
    profile: str,
    folder: Path,
    *,
    root: Path,
    device_name: str = "auto",
    code: str = "",
    checkpoint_seconds: float = 60.0,
) -> RunRecord:
    """Train one run and seed; writes `run.json` whatever happens.

    Raises Interrupted after SIGTERM or Ctrl-C, and WriteError.
    """
    record = blank_record(specification, seed, profile, code, root)
    try:
        record = train_to_end(record, folder, root, choose_device(device_name), code, checkpoint_seconds)
    except NotRunError as reason:
        record = record.model_copy(update={"status": "not run", "reason": str(reason)})
    except (Interrupted, WriteError):
        raise
    except Exception as error:  # a user's method may raise anything
        if not isinstance(error, SuiteError | DamagedError | NonFiniteLossError):
            traceback.print_exc()
        record = record.model_copy(update={"reason": f"{type(error).__name__}: {first_line(error)}"})
    write(folder / "run.json", record)
    return record


def load_trained(record: RunRecord, folder: Path, root: Path, device: torch.device):
    """(method, data, problem) of a finished run; SuiteError if the weights are not those it wrote."""
    weights = folder / "weights.safetensors"
    if not weights.exists() or file_sum(weights) != record.weights_sha256:
        raise SuiteError(f"{weights}: missing or not the file that run.json describes; delete run.json to retrain")
    data, problem, images = open_data(record.dataset, root, device)
    method = build(with_options(record.specification, record.chosen), images, problem, record.seed)
    load_weights(weights, method)
    return method.eval(), data, problem
