"""Commands in forked processes, what they leave, and whether that equals what an undisturbed run leaves."""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import chdir, suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.cli.main import main
from benchmarks.config import declarations
from benchmarks.plan.staleness import Freshness
from benchmarks.plan.suite import Suite
from benchmarks.store.records import MetricFile, RunRecord, read
from methods.training.atomic_files import DamagedError, read_arrays, read_frame
from methods.training.checkpoint import read_tensors

PROFILE = "smoke"
USERS_OWN = "KeyError: 'mine'"  # an exception of a user's method: the log shows where, the record what
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class Defect(Exception):
    """What no fault may lead to; the first argument is its kind."""


@dataclass
class Call:
    """How a command ended."""

    status: int
    errors: str
    seconds: float

    @property
    def line(self) -> str:
        """The error that a person sees."""
        shown = [line for line in self.errors.splitlines() if line.startswith(("error:", "not run:"))]
        return shown[-1] if shown else self.errors[-300:]


def call(arguments: list[str], folder: Path, disturb: Callable[[int], None] | None = None) -> Call:
    """`python -m benchmarks ARGUMENTS` in `folder`, forked from this process, which has torch in memory already."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                for stream in (1, 2):
                    os.dup2(errors.fileno(), stream)
                os.chdir(folder)
                status = main(arguments)
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except BaseException:
                traceback.print_exc()
                status = 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        if disturb is not None:
            disturb(child)
        _, ended = os.waitpid(child, 0)
        errors.seek(0)
        found = Call(os.waitstatus_to_exitcode(ended), errors.read(), time.monotonic() - began)
    if "Traceback" in found.errors and USERS_OWN not in found.errors:
        raise Defect("traceback", found.errors[-1500:])
    return found


@dataclass
class Bench:
    """Undisturbed results of some runs, to compare with; trials happen in copies."""

    root: Path
    options: tuple[str, ...] = ()
    suite: Suite = field(default_factory=lambda: Suite(PROFILE))
    seconds: dict[str, float] = field(default_factory=dict)

    def command(self, name: str, run: str) -> list[str]:
        """A command line of one run."""
        every = ["--checkpoint-seconds", "0"] if name == "train" else []
        return [name, run, "--profile", PROFILE, *self.options, *every]

    def prepare(self, run: str) -> Path:
        """The folder of the undisturbed run, made on first use with all that it depends on."""
        folder = self.root / "results" / PROFILE / run / "seed0"
        if run in self.seconds:
            return folder
        for file in map(Path, self.suite.reference_files(run)):
            if file.parent.name == "references":
                if not (self.root / file).exists():
                    self.expect(call(["reference", file.stem, "--profile", PROFILE], self.root))
            elif file.parents[1].name != run:
                self.prepare(file.parents[1].name)
        self.seconds[run] = sum(self.expect(call(self.command(n, run), self.root)) for n in ("train", "evaluate"))
        return folder

    @staticmethod
    def expect(done: Call) -> float:
        """Seconds of a call that must end well."""
        if done.status:
            raise Defect("undisturbed run fails", done.errors[-1500:])
        return done.seconds

    def trial(self, run: str, copied: bool) -> tuple[Path, Path]:
        """(working folder, results of the run in it): empty, or with a copy of the undisturbed results."""
        original = self.prepare(run)
        place = Path(tempfile.mkdtemp(dir=self.root))
        folder = place / "results" / PROFILE / run / "seed0"
        for other in sorted((self.root / "results" / PROFILE).iterdir()):
            if other.name == "references":
                shutil.copytree(other, folder.parents[1] / "references")
            elif other.name != run and other.is_dir():
                folder.parents[1].mkdir(parents=True, exist_ok=True)
                (folder.parents[1] / other.name).symlink_to(other)
        if copied:
            shutil.copytree(original, folder)
        return place, folder

    def again(self, run: str, place: Path) -> list[str]:
        """Do what Snakemake is told to until nothing is left to do; the errors on the way."""
        folder, lines = place / "results" / PROFILE / run / "seed0", []
        for _ in range(6):
            line = self.once(run, place, folder)
            if line is None:
                return lines
            lines.append(line)
        raise Defect("lost", f"the same command never ends well: {lines}")

    def once(self, run: str, place: Path, folder: Path) -> str | None:
        """One call: the jobs that `Freshness` names; the first error, None if none."""
        declarations.forget()  # files of a user's may have been edited
        with chdir(place):  # where the files of a user's are
            suite = Suite(PROFILE, Path(self.options[1])) if self.options else self.suite
            fresh = Freshness(suite)
            problems = [Path(f).stem for f in suite.reference_files(run) if Path(f).parent.name == "references"]
            for problem in filter(fresh.problems.get, problems):
                if error := self.job(["reference", problem, "--profile", PROFILE], place):
                    return error
            for name in ("train", "evaluate"):
                state = Freshness(suite).jobs[f"{run}/seed0"]
                if getattr(state, name) and (error := self.job(self.command(name, run), place)):
                    return error
            if error := self.job(["collect", "--profile", PROFILE, *self.options, "--only", run], place):
                return error
            state = Freshness(suite).jobs[f"{run}/seed0"]
        return state.train or state.evaluate or None

    @staticmethod
    def job(arguments: list[str], place: Path) -> str | None:
        """The error of a command that did not end well."""
        done = call(arguments, place)
        return done.line if done.status else None

    def compare(self, run: str, folder: Path) -> None:
        """Defect unless the results are bitwise those of the undisturbed run."""
        original = self.prepare(run)
        if left := [p.name for p in folder.rglob(".tmp-*")]:
            raise Defect("half file", f"left behind: {left}")
        files = {p.relative_to(original).as_posix() for p in original.rglob("*") if p.is_file()}
        for name in sorted(files - {".lock"}):
            if not (folder / name).exists():
                raise Defect("lost", name)
            try:
                one, other = (contents(f / name) for f in (original, folder))
            except DamagedError as error:
                raise Defect("half file", str(error)) from error
            if one != other:
                raise Defect("wrong number", f"{name}: {str(other)[:300]} instead of {str(one)[:300]}")


def contents(path: Path) -> object:
    """What a results file says, without times."""
    if path.suffix == ".safetensors":
        return {
            n: (t.shape, t.reshape(-1).view(torch.uint8).numpy().tobytes()) for n, t in read_tensors(path)[0].items()
        }
    if path.suffix == ".npz":
        return {n: (a.shape, a.tobytes()) for n, a in read_arrays(path).items()}
    if path.suffix == ".parquet":
        return read_frame(path).to_csv()
    if path.stem in ("run", "trained"):
        record = read(path, RunRecord)
        return (
            record.status,
            {**record.specification, "method": ""},
            record.steps,
            record.parameters,
            record.chosen,
            record.images,
        )
    if path.stem in declarations.metrics():
        timed = str(declarations.metrics()[path.stem].literals.get("unit", "")).startswith("seconds")
        hidden = {"seconds", *(("value", "standard_error", "details") if timed else ())}
        return [r.model_dump(exclude=hidden) for r in read(path, MetricFile).results]
    return None


def killer(rng: random.Random, expected: float, folder: Path) -> Callable[[int], None]:
    """Sends a signal at a random moment, or (every other time) while a file is being written."""
    kind = rng.choice(SIGNALS)
    moment, writes = rng.uniform(0, expected) * rng.choice((1, 0.5, 0.2)), rng.choice((0, rng.randint(1, 12)))

    def disturb(child: int) -> None:
        deadline, seen = time.monotonic() + moment, set()
        while time.monotonic() < deadline or (writes and time.monotonic() < deadline + expected):
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            if writes:
                seen |= being_written(folder)
                if len(seen) >= writes:
                    break
            time.sleep(0.0005 if writes else 0.005)
        os.kill(child, kind)

    return disturb


def being_written(folder: Path) -> set[int]:
    """The files that are being written at this moment."""
    found = set()
    with suppress(OSError):  # one is gone again
        for path in folder.glob("**/.tmp-*"):
            found.add(path.stat().st_ino)
    return found


def log(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
