"""What every method must do, whatever its objective: plain checks that raise BrokenContractError with a sentence.

The tests run them on every method of the suite, `python -m benchmarks contract RUN` on any run.
"""

import inspect
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.config.declarations import Declared
from benchmarks.config.models import Dataset
from benchmarks.errors import NotRunError, SuiteError, first_line
from benchmarks.jobs import joint_density
from benchmarks.jobs.materials import open_data
from benchmarks.metrics.trained import batch_of
from benchmarks.plan.suite import Suite
from benchmarks.posteriors import PROBLEMS
from benchmarks.store.records import Contract
from methods.method import Method
from methods.networks.bodies import lay_out
from methods.networks.build import build_method, class_named
from methods.training.atomic_files import DamagedError
from methods.training.checkpoint import load_weights, save_weights
from methods.training.game import gradient
from methods.training.minibatches import Images
from methods.training.trainer import Trainer, settings_from

LITERALS = ("paper", "equations", "player_names", "needs", "provides")
FEW, ROUNDS = 32, 4
JOINT = ("sample_prior", "sample", "log_weight")


class BrokenContractError(Exception):
    """A method does not do what every method must; the message is one sentence."""


def require(condition: object, message: str) -> None:
    """BrokenContractError with the message unless the condition is true; unlike `assert`, under `python -O` too."""
    if not condition:
        raise BrokenContractError(message)


@dataclass(frozen=True)
class Case:
    """A run to check: what its method declares, its specification, a few images, its problem if it has one."""

    declared: Declared
    specification: dict[str, Any]
    images: Images
    problem: Callable[[], Any] | None = None

    def method(self, seed: int = 0) -> Method:
        """The method with the initial weights of a seed."""
        torch.manual_seed(seed)
        return build_method(self.specification, self.images.x_shape, self.problem and self.problem())

    def trainer(self, folder: Path, rounds: int) -> Trainer:
        """A training of so many rounds, always with the same seeds."""
        options = {**self.specification["train"], "steps": rounds, "snapshots": [], "validate_every": 0}
        method = lay_out(self.method())  # as trainings do: moments follow the layout of their parameters
        torch.manual_seed(3)
        settings = settings_from(options)
        return Trainer(method, self.images, settings, folder, seed=7, identity={"run": self.specification["run"]})


def few_images(name: str, dataset: Dataset, root: Path = Path("data")) -> Images:
    """Random images of the dataset's shape with labels, without its data; none of a problem.

    Of a user's folder the first images: SuiteError or NotRunError if it cannot be read.
    """
    if dataset.kind == "problem":
        return Images(torch.zeros(1, 0, dtype=torch.uint8))
    if dataset.x_shape == (0,):
        train = open_data(name, root, torch.device("cpu"))[2]
        return Images(train.pixels[:FEW], None if train.labels is None else train.labels[:FEW], train.pixels_as)
    generator = torch.Generator().manual_seed(1)
    n = 8 if dataset.x_shape[-1] > 8 else FEW
    pixels = torch.randint(0, 2, (n, *dataset.x_shape), generator=generator, dtype=torch.uint8) * 255
    labels = torch.arange(n) % 10
    if name.endswith("-pair"):  # every other image is of the target domain
        labels[::2] = -1
    return Images(pixels, labels)


def case_of(suite: Suite, run: str, root: Path = Path("data")) -> Case:
    """The run as the suite's profile has it; SuiteError or NotRunError as of `few_images`."""
    name, dataset = suite.dataset_of(run)
    return Case(suite.method_of(run), suite.specification(run), few_images(name, dataset, root), PROBLEMS.get(name))


@contextmanager
def double_precision() -> Iterator[None]:
    """float64 by default: a clipped critic's values are of order 1e-9."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def check_literals(case: Case) -> None:
    """What `check` and the DAG read without importing the file is what the class is."""
    live = class_named(case.declared.target)
    for key in LITERALS:
        read, found = case.declared.literals.get(key), getattr(live, key, None)
        require(read == found, f"{key} is {found!r} but its literal reads {read!r}; write it as a plain constant")
    names, expected = list(inspect.signature(live).parameters), list(case.declared.parameters)
    require(names == expected, f"the constructor takes {', '.join(names)} but its source says {', '.join(expected)}")


def check_players(case: Case) -> None:
    """The players are those of `player_names`, in that order."""
    found, declared = tuple(case.method().players()), case.declared.literals["player_names"]
    require(found == declared, f"players() gives {', '.join(found)}; player_names says {', '.join(declared)}")


def check_move(case: Case, player: str) -> None:
    """A move follows the gradient for the player's own parameters, changes no other, and descends."""
    with double_precision():
        method = case.method().double().eval()  # moments and batch statistics frozen
        moving = method.players()[player]
        n = len(case.images)
        batch = case.images.batch(torch.arange(n) if n > 1 else torch.zeros(64, dtype=torch.long))
        batch = replace(batch, x=batch.x.double())
        own = {id(p) for p in moving.parameters()}
        require(own, f"player {player} owns no parameters")
        before = {name: p.clone() for name, p in method.named_parameters()}
        torch.manual_seed(5)
        loss, grads = gradient(moving, batch)
        require(loss.ndim == 0, f"the loss of player {player} has shape {tuple(loss.shape)}; average it over the batch")
        torch.manual_seed(5)
        expected = torch.autograd.grad(moving.loss(batch), moving.parameters(), allow_unused=True)
        for found, wanted in zip(grads, expected, strict=True):
            alike = found is wanted is None or (found is not None and wanted is not None and torch.equal(found, wanted))
            require(alike, f"the gradient of player {player} differs from one call to the next with the same noise")
        norm = torch.stack([g.square().sum() for g in grads if g is not None]).sum()
        require(norm > 0, f"the loss of player {player} has no gradient for what the player owns")
        with torch.no_grad():
            for parameter, grad in zip(moving.parameters(), grads, strict=True):
                if grad is not None:
                    parameter -= 1e-3 * grad / norm.sqrt()
        torch.manual_seed(5)
        after = moving.loss(batch).detach()
        require(
            after < loss, f"a small step of player {player} changes its loss by {float(after - loss):+.3g}, not down"
        )
        moved = [n for n, p in method.named_parameters() if id(p) not in own and not torch.equal(before[n], p)]
        require(not moved, f"the loss of player {player} changes {', '.join(moved[:3])}, which it does not own")


def check_answers(case: Case) -> None:
    """What the method says that it provides has the right shapes and finite values."""
    method, provides = case.method().eval(), set(case.declared.provides())
    x = case.images.batch(torch.arange(min(4, len(case.images)))).x
    asked: dict[str, tuple[Callable[[], Tensor], tuple[int, ...]]] = {
        "encode": (lambda: method.encode(x), (len(x), case.specification["latent_dim"])),
        "log_weight": (lambda: method.log_weight(batch_of(x)), (len(x),)),  # type: ignore[attr-defined]
        "sample": (lambda: method.sample(2), (2, *case.images.x_shape)),
        "reconstruct": (lambda: method.reconstruct(x), tuple(x.shape)),
    }
    if "decoder" in provides and case.problem is None:
        provides |= {"sample", "reconstruct"} if "encode" in provides else {"sample"}
    for name in asked.keys() & provides:
        with torch.no_grad():
            found = asked[name][0]()
        shape = tuple(found.shape)
        require(shape == asked[name][1], f"{name} gives shape {shape}; expected {asked[name][1]}")
        require(found.isfinite().all(), f"{name} gives numbers that are not finite")
        image = name in ("sample", "reconstruct")
        require(not image or 0 <= found.min() <= found.max() <= 1, f"{name} gives pixels outside 0 to 1")


def provided(case: Case, method: Any) -> set[str]:
    """What the method says that it provides, and what those inside it do whose answers it passes on."""
    inside = [getattr(method, role).provides for role in case.declared.literals.get("wraps", ())]
    return set(case.declared.provides()).union(*inside)


def check_joint(case: Case, part: str) -> None:
    """`sample_prior`, `sample` or `log_weight` speak of the p(x, z) of the decoder and its `log_prior`.

    At the initial weights and at others near by. Problems have no x; generators, which have no p(x|z), have a prior.
    """
    with double_precision():
        for change in (lambda method: method, joint_density.shaken):
            method: Any = change(case.method().double().eval())
            decoder = getattr(method, "decoder", None)
            if case.problem is not None or not hasattr(decoder, "log_prior") or not hasattr(decoder, "sample_prior"):
                return
            explicit = "decoder" in (provides := provided(case, method))
            torch.manual_seed(6)
            fault = ""
            if part == "sample_prior":
                fault = joint_density.prior_fault(decoder)
            elif part == "sample" and explicit:
                fault = joint_density.sample_fault(method)
            elif part == "log_weight" and explicit and "log_weight" in provides:
                x = case.images.batch(torch.arange(min(8, len(case.images)))).x.double()
                fault = joint_density.weight_fault(method, x)
            require(not fault, fault)


def digest(method: Method) -> dict[str, Tensor]:
    """A copy of all parameters and buffers."""
    return {name: tensor.clone() for name, tensor in method.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two digests are bitwise equal."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def check_training(case: Case, folder: Path) -> None:
    """Training is deterministic, and one that is stopped and continued ends with bitwise the same weights."""

    def trained(name: str) -> dict[str, Tensor]:
        trainer = case.trainer(folder / name, ROUNDS)
        trainer.run()
        return digest(trainer.method)

    whole = trained("whole")
    require(same(whole, trained("again")), "two trainings with the same seeds end with different weights")
    half = case.trainer(folder / "half", ROUNDS)
    for _ in range(ROUNDS // 2):
        half.one_round()
    half.save(0.0)
    torch.manual_seed(99)
    broken = "a training that was stopped and continued ends with other weights"
    require(same(whole, trained("half")), f"{broken}: keep what changes in parameters and buffers")


def check_weights(case: Case, folder: Path) -> None:
    """Weights that are saved and loaded are bitwise the same."""
    first, other = case.method(), case.method(seed=8)
    require(not same(digest(first), digest(other)), "two seeds give the same initial weights")
    save_weights(folder / "w.safetensors", first, {})
    load_weights(folder / "w.safetensors", other)
    require(same(digest(first), digest(other)), "weights that were saved and loaded are not the same")


def checks(case: Case, folder: Path) -> dict[str, Callable[[], None]]:
    """Every check of a run by name; they may write below `folder`."""
    moves = {
        f"a move of {player} changes its own parameters only and descends": lambda p=player: check_move(case, p)
        for player in case.declared.literals["player_names"]
    }
    return {
        "literals are those of the live class": lambda: check_literals(case),
        "players are as declared": lambda: check_players(case),
        **moves,
        "answers have the right shapes": lambda: check_answers(case),
        **{f"{part} is of the decoder and its log_prior": lambda p=part: check_joint(case, p) for part in JOINT},
        "weights survive saving and loading": lambda: check_weights(case, folder),
        "training is deterministic and resumes exactly": lambda: check_training(case, folder),
    }


def run(case: Case) -> dict[str, str]:
    """Every check with what is wrong, empty where it holds; an exception of the method is wrong too."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, check in checks(case, Path(folder)).items():
            try:
                check()
                found[name] = ""
            except BrokenContractError as error:
                found[name] = first_line(error)
            except AssertionError as error:  # of the method itself
                found[name] = first_line(error) if str(error) else "an assertion of the method failed"
            except Exception as error:
                traceback.print_exc()
                found[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return found


def record_of(suite: Suite, run_name: str, root: Path) -> Contract:
    """What the checks of a run of the suite say, whatever happens; data lie in `root`."""
    try:
        found = run(case_of(suite, run_name, root))
    except NotRunError as reason:
        return Contract(run=run_name, status="not run", reason=str(reason))
    except SystemExit as end:
        return Contract(run=run_name, status="failed", reason=f"the method ended the process: sys.exit({end.code!r})")
    except (SuiteError, DamagedError) as error:
        return Contract(run=run_name, status="failed", reason=str(error))
    except Exception as error:
        traceback.print_exc()
        return Contract(run=run_name, status="failed", reason=f"{type(error).__name__}: {first_line(error)}")
    return Contract(run=run_name, status="failed" if any(found.values()) else "ok", checks=found)
