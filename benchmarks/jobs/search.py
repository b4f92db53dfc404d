"""Training: one setting, or every value of the options that a run searches, of which the best is kept."""

import itertools
import math
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.errors import SuiteError
from benchmarks.hardware import energy
from benchmarks.jobs.materials import build, with_options
from benchmarks.store.records import RunRecord, canonical
from methods.method import Method
from methods.training.atomic_files import DamagedError, replacing
from methods.training.checkpoint import read_tensors
from methods.training.minibatches import Images
from methods.training.seeds import seed_of
from methods.training.trainer import ForeignCheckpointError, Trainer, settings_from


def candidates(specification: dict[str, Any]) -> list[dict[str, Any]]:
    """Each combination of the options that the run searches; one empty one where it searches none."""
    search = specification.get("search", {})
    return [dict(zip(search, values, strict=True)) for values in itertools.product(*search.values())]


def noise_seed(dataset: str, seed: int) -> int:
    """The seed of what methods draw in training: they draw alike while they do the same."""
    return seed_of(dataset, seed, "noise")


def minibatches_seed(dataset: str, seed: int) -> int:
    """The seed of the minibatches."""
    return seed_of(dataset, seed, "data")


def play(trainer: Trainer) -> dict[str, Any]:
    """Train to the end. A checkpoint of another specification (the run was edited), or a damaged one, is set aside."""
    try:
        return trainer.run()
    except (ForeignCheckpointError, DamagedError) as error:
        aside = trainer.checkpoint.parent.with_name(f"checkpoint.stale.{time.time_ns()}")
        trainer.checkpoint.parent.rename(aside)
        print(f"{str(error).partition(';')[0]}: set aside as {aside.name}, starting afresh", file=sys.stderr)
        return trainer.run()


@dataclass(frozen=True)
class Setting:
    """What every candidate of one training shares: its record, images, score on validation data, and how to save."""

    record: RunRecord
    images: Images
    problem: Any
    score: Callable[[Method], float] | None
    checkpoint_seconds: float

    def identity(self, specification: dict[str, Any]) -> dict[str, Any]:
        """All that determines the weights."""
        of = self.record
        return {"specification": canonical(specification), "code": of.code, "seed": of.seed, "data": of.data}

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
        torch.manual_seed(noise_seed(self.record.dataset, seed))
        meter = energy.Meter(self.images.pixels.device)
        trainer = Trainer(
            method,
            self.images,
            settings_from(specification["train"]),
            place,
            minibatches_seed(self.record.dataset, seed),
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


def lowest(run: str, tries: list[dict[str, Any]], scores: list[float]) -> int:
    """The place of the lowest score; one that is not finite loses, and SuiteError if all are such."""
    finite = [number for number, score in enumerate(scores) if math.isfinite(score)]
    if not finite:
        found = ", ".join(f"{canonical(tried)}: {score}" for tried, score in zip(tries, scores, strict=True))
        raise SuiteError(
            f"run {run}: search: no value has a finite score on validation data ({found}); check that "
            f"train.validate_every is at most steps, and the method's validation_loss"
        )
    return min(finite, key=scores.__getitem__)


def search(setting: Setting, folder: Path) -> dict[str, Any]:
    """Train every candidate and keep the best on validation data; what the record says of it."""
    tries = candidates(setting.record.specification)
    places = [folder / "search" / str(number) if tried else folder for number, tried in enumerate(tries)]
    ends = [setting.train(tried, place) for tried, place in zip(tries, places, strict=True)]
    best = lowest(setting.record.run, tries, [end["score"] for end in ends]) if tries[0] else 0
    if tries[best]:
        snapshots = sorted((places[best] / "snapshots").glob("*.safetensors"))
        for path in (places[best] / "weights.safetensors", places[best] / "history.parquet", *snapshots):
            with replacing(folder / path.relative_to(places[best])) as temporary:
                shutil.copyfile(path, temporary)
    return {
        "steps": int(ends[best]["steps"]),
        "seconds": round(sum(end["seconds"] for end in ends), 2),
        "images_per_second": round(ends[best]["images_per_second"], 1),
        "parameters": ends[best]["parameters"],
        "chosen": tries[best],
        "search_scores": {canonical(tried): end["score"] for tried, end in zip(tries, ends, strict=True) if tried},
        **energy.total(ends),
    }
