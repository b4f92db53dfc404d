"""Training: rounds of the game, optimisers, precision, checkpoints, resume and history.

Everything random comes from the global generator (noise) and from (seed, position) (data), and both are in
the checkpoint: a killed training that continues ends with bitwise the weights of one that was never killed
(same machine, same threads).
"""

import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from methods.method import Method
from methods.training.atomic_files import write_frame
from methods.training.checkpoint import (
    optimiser_tensors,
    read_tensors,
    restore_optimiser,
    save_weights,
    write_tensors,
)
from methods.training.game import Player, play_round
from methods.training.minibatches import Images, Minibatches
from methods.training.progress import Progress


class NonFiniteLossError(RuntimeError):
    """A player's loss became NaN or infinite."""


class ForeignCheckpointError(ValueError):
    """A checkpoint of another specification, code or seed."""


class Interrupted(RuntimeError):
    """SIGTERM or Ctrl-C: the state is saved, and the same command continues."""


@dataclass(frozen=True)
class Settings:
    """How a run is trained. Rates may differ by player; `decay_from` is the share of rounds after which
    the rates fall linearly to zero; `snapshots` are rounds whose weights are kept."""

    steps: int
    batch_size: int
    learning_rate: float | dict[str, float]
    optimiser: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    simultaneous: bool = False
    precision: str = "float32"
    decay_from: float = 1.0
    snapshots: list[int] = field(default_factory=list)
    validate_every: int = 0
    patience: int = 0

    def rate(self, player: str) -> float:
        """The player's initial learning rate."""
        return self.learning_rate[player] if isinstance(self.learning_rate, dict) else self.learning_rate

    def decay(self, step: int) -> float:
        """Factor on the learning rates in round `step`."""
        if self.decay_from >= 1:
            return 1.0
        return min(1.0, (1 - step / self.steps) / (1 - self.decay_from))


@contextmanager
def stop_requested():
    """A list that becomes non-empty when the process is asked to stop (SIGTERM, Ctrl-C)."""
    asked: list[int] = []
    kinds = (signal.SIGTERM, signal.SIGINT)
    old = [signal.signal(kind, lambda number, frame: asked.append(number)) for kind in kinds]
    try:
        yield asked
    finally:
        for kind, handler in zip(kinds, old, strict=True):
            signal.signal(kind, handler)


class Trainer:
    """One training: `run()` goes from the last checkpoint in `folder`, if any, to the last round."""

    def __init__(
        self,
        method: Method,
        images: Images,
        settings: Settings,
        folder: Path,
        seed: int,
        label: str = "training",
        checkpoint_seconds: float = 60.0,
        identity: dict[str, Any] | None = None,
        validate: Callable[[Method], float] | None = None,
        costs: Callable[[], dict[str, float]] = dict,
    ):
        self.method, self.settings, self.folder, self.label = method, settings, folder, label
        self.validate, self.costs = validate, costs
        self.checkpoint_seconds = checkpoint_seconds
        self.identity = identity or {}
        self.device = images.pixels.device
        self.players: dict[str, Player] = method.players()
        self.optimisers = {name: self.optimiser(name) for name in self.players}
        self.batches = Minibatches(images, settings.batch_size, seed)
        self.step, self.seconds_before = 0, 0.0
        self.costs_before: dict[str, float] | None = None
        self.best, self.best_step = float("inf"), -1
        self.history: list[dict[str, float]] = []

    def optimiser(self, player: str) -> torch.optim.Optimizer:
        """The player's own optimiser."""
        settings, parameters = self.settings, self.players[player].parameters()
        rate, decay = settings.rate(player), settings.weight_decay
        if settings.optimiser == "rmsprop":
            return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay)
        return torch.optim.Adam(parameters, lr=rate, betas=settings.betas, weight_decay=decay, fused=True)

    @property
    def checkpoint(self) -> Path:
        """Where the state for a resume lies: beside the outputs, never declared to Snakemake."""
        return self.folder / "checkpoint" / "state.safetensors"

    @property
    def best_weights(self) -> Path:
        """The weights that validation likes best so far."""
        return self.folder / "checkpoint" / "best.safetensors"

    def save(self, seconds: float) -> None:
        """Write everything that a resume needs."""
        tensors = {f"method/{name}": t for name, t in self.method.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            tensors |= optimiser_tensors(name, optimiser)
        tensors["random"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random_cuda"] = torch.cuda.get_rng_state(self.device)
        metadata = {
            "step": self.step,
            "drawn": self.batches.drawn,
            "seconds": self.seconds_before + seconds,
            "costs": self.spent(),
            "history": self.history,
            "best": [self.best, self.best_step],
            "identity": self.identity,
        }
        write_tensors(self.checkpoint, tensors, metadata)

    def resume(self) -> bool:
        """Continue from the checkpoint; False if there is none.

        ForeignCheckpointError if it is of another run, DamagedError if it is not what was written.
        """
        if not self.checkpoint.exists():
            return False
        tensors, metadata = read_tensors(self.checkpoint)
        if metadata["best"][1] >= 0:
            read_tensors(self.best_weights)  # found damaged now rather than at the end
        if metadata["identity"] != self.identity:
            raise ForeignCheckpointError(
                f"{self.checkpoint}: checkpoint of another specification or code; move its folder away to start afresh"
            )
        prefix = "method/"
        weights = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
        self.method.load_state_dict(weights)
        for name, optimiser in self.optimisers.items():
            restore_optimiser(name, optimiser, tensors)
        torch.set_rng_state(tensors["random"])
        if "random_cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random_cuda"], self.device)
        self.step, self.batches.drawn = metadata["step"], metadata["drawn"]
        self.seconds_before, self.history = metadata["seconds"], metadata["history"]
        self.costs_before = metadata["costs"]
        self.best, self.best_step = metadata["best"]
        return True

    def spent(self) -> dict[str, float]:
        """`costs` of every process that worked on this training; what one of them could not read is left out."""
        now, before = self.costs(), self.costs_before
        return now if before is None else {k: v + before[k] for k, v in now.items() if k in before}

    def autocast(self):
        """The context of one move: bf16 autocast where the run asks for it, without its cache of cast weights."""
        if self.settings.precision == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)
        return nullcontext()

    def one_round(self) -> dict[str, torch.Tensor]:
        """Play round `step` and advance."""
        for name, optimiser in self.optimisers.items():
            optimiser.param_groups[0]["lr"] = self.settings.rate(name) * self.settings.decay(self.step)
        self.batches.step = self.step
        if self.step == 0:
            self.method.initialise(self.batches.first())
        losses = play_round(
            self.players, self.optimisers, self.batches, self.step, self.settings.simultaneous, self.autocast
        )
        self.step += 1
        return losses

    def check(self, losses: dict[str, torch.Tensor]) -> dict[str, float]:
        """Losses as numbers; NonFiniteLossError with round, player and last good value."""
        values = {name: float(loss) for name, loss in losses.items()}
        for name, value in values.items():
            if not abs(value) < float("inf"):
                good = self.history[-1].get(name) if self.history else None
                raise NonFiniteLossError(
                    f"loss of player {name!r} is {value} in round {self.step}; last recorded value {good}"
                )
        return values

    def stop_early(self) -> bool:
        """Score on validation data when it is due; keep the best weights; True when patience is used up."""
        if self.validate is None or self.step % self.settings.validate_every:
            return False
        state = torch.get_rng_state()
        score = self.validate(self.method)
        torch.set_rng_state(state)  # looking must not change the training
        if score < self.best:
            self.best, self.best_step = score, self.step
            save_weights(self.best_weights, self.method, {"step": self.step})
        waited = (self.step - self.best_step) // self.settings.validate_every
        return 0 < self.settings.patience <= waited

    def run(self) -> dict[str, float]:
        """Train to the end; returns seconds, rounds, images/s and costs. Raises Interrupted, NonFiniteLossError."""
        self.resume()
        total, size = self.settings.steps, self.settings.batch_size
        # a look at the loss waits for the device: every round on a CPU, seldom on an accelerator
        look = 1 if self.device.type == "cpu" else 50
        record = max(1, total // 200)
        progress = Progress(self.label, self.step, total, size)
        saved = time.monotonic()
        self.method.train()
        if 0 in self.settings.snapshots and self.step == 0:
            self.snapshot()
        with stop_requested() as asked:
            while self.step < total:
                losses = self.one_round()
                if self.step % look == 0 or self.step == total:
                    values = self.check(losses)
                    progress.update(self.step, values)
                    if self.step % record < look:
                        self.history.append({"step": self.step, **values})
                stop = self.stop_early()
                if self.step in self.settings.snapshots:
                    self.snapshot()
                if stop:
                    break
                if asked or time.monotonic() - saved > self.checkpoint_seconds:
                    self.save(progress.seconds())
                    saved = time.monotonic()
                if asked:
                    raise Interrupted(f"stopped in round {self.step} of {total}; the same command continues")
        progress.close()
        seconds = self.seconds_before + progress.seconds()
        return {
            "seconds": seconds,
            "steps": self.step,
            "images_per_second": self.step * size / seconds,
            **self.spent(),
        }

    def snapshot(self) -> None:
        """Keep the weights that a training which ended now would give: where validation chooses, its best so far."""
        tensors = self.method.state_dict() if self.best_step < 0 else read_tensors(self.best_weights)[0]
        write_tensors(self.folder / "snapshots" / f"{self.step:08d}.safetensors", tensors, {"step": self.step})

    def finish(self, metadata: dict[str, Any]) -> Path:
        """Write weights and history; the best weights where validation chose them. The checkpoint stays."""
        weights = self.folder / "weights.safetensors"
        if self.validate is not None and self.best_weights.exists():
            tensors, chosen = read_tensors(self.best_weights)
            self.method.load_state_dict(tensors)
            metadata = {**metadata, **chosen}
        save_weights(weights, self.method, metadata)
        import pandas  # 0.3 s that a training need not wait for

        write_frame(self.folder / "history.parquet", pandas.DataFrame(self.history))
        return weights


def settings_from(options: dict[str, Any]) -> Settings:
    """Settings from plain values (JSON has no tuples)."""
    return Settings(**{**options, "betas": tuple(options.get("betas", (0.9, 0.999)))})
