"""The kinds of fault. Each takes a bench, a run and a random generator and returns the errors seen on the way."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from methods.training.atomic_files import file_sum
from tests.faults.bench import PROFILE, USERS_OWN, Bench, Defect, call, killer

ROOT = Path(__file__).resolve().parents[2]
NAN_METHOD = """
from methods.vae import VAE


class Mine(VAE):
    paper = "mine"
    equations = "1"
    player_names = ("model",)

    def per_example_loss(self, batch):
        {fault}
        return super().per_example_loss(batch)
"""
NAN_FAULTS = {
    "NaN": "if batch.step >= {step}: return super().per_example_loss(batch) * float('nan')",
    "exception": "if batch.step >= {step}: raise KeyError('mine')",
}
NAN_RUN = """
mine:
  method: mine.py:Mine
  dataset: 4-point
  latent_dim: 2
  components: {encoder: toy-gaussian-encoder, decoder: toy-decoder}
  train: {steps: 12, batch_size: 8, learning_rate: 0.001}
"""


def killed(bench: Bench, run: str, rng: random.Random) -> tuple[int, list[str]]:
    """Kill training and evaluation, up to five times in a row, then let them end; (kills, errors)."""
    place, folder = bench.trial(run, copied=False)
    kills = 0
    for _ in range(rng.randint(2, 5)):
        finished = folder / "trained.json"
        before = file_sum(folder / "weights.safetensors") if finished.exists() else ""
        stamp = (folder / "weights.safetensors").stat().st_mtime_ns if before else 0
        name = "evaluate" if (folder / "run.json").exists() and rng.random() < 0.5 else "train"
        if name == "train":
            (folder / "run.json").unlink(missing_ok=True)  # as Snakemake does with the output of a killed job
        done = call(bench.command(name, run), place, killer(rng, bench.seconds[run], folder))
        if before and (folder / "weights.safetensors").stat().st_mtime_ns != stamp:
            raise Defect("lost", "a finished training was repeated")
        kills += done.status != 0
    errors = bench.again(run, place)
    bench.compare(run, folder)
    shutil.rmtree(place)
    return kills, errors


def damaged(bench: Bench, run: str, rng: random.Random) -> tuple[str, list[str]]:
    """Flip a byte of a file, cut it or take it away; its time stamp stays, and what reads it runs once more."""
    place, folder = bench.trial(run, copied=True)
    how = rng.choice(("flip", "cut", "remove"))
    if rng.random() < 0.2:  # a checkpoint instead: stop the training once there is one
        shutil.rmtree(folder)
        call(bench.command("train", run), place, lambda child: stop_at_checkpoint(child, folder))
    references = [Path(f) for f in bench.suite.reference_files(run) if "references" in f]
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != ".lock" and p.parent.name != "snapshots"]
    files += sorted((folder / "snapshots").glob("*"))[:-1]  # nothing reads the last one, which is the weights
    files += [place / f.with_suffix(suffix) for f in references for suffix in (".json", ".npz")]
    path = rng.choice(sorted(files))
    harm(path, how, rng)
    if path.parent.name == "snapshots":  # let it be read
        for output in ["metrics.json", *(f"{m}.json" for m in bench.suite.metric_options(run))]:
            (folder / output).unlink(missing_ok=True)
    if path.stem == "trained":
        (folder / "run.json").unlink()
    errors = bench.again(run, place)
    bench.compare(run, folder)
    shutil.rmtree(place)
    return f"{how} {path.name}", errors


def stop_at_checkpoint(child: int, folder: Path) -> None:
    """Ask the training to stop when it has written its first checkpoint."""
    while not (folder / "checkpoint" / "state.safetensors").exists() and not os.waitid(
        os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
    ):
        time.sleep(0.002)
    os.kill(child, signal.SIGTERM)


def harm(path: Path, how: str, rng: random.Random) -> None:
    """Damage a file and keep its time stamps."""
    content, state = bytearray(path.read_bytes()), path.stat()
    if how == "remove" or not content:
        path.unlink()
        return
    position = rng.randrange(len(content))
    if how == "flip":
        content[position] ^= 1 << rng.randrange(8)
    path.write_bytes(content if how == "flip" else content[:position])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def full_disk(bench: Bench, run: str, rng: random.Random) -> tuple[str, list[str]]:
    """Results on a small disk that fills up at a random point; then it grows."""
    original = bench.prepare(run)
    need = sum(p.stat().st_size for p in original.rglob("*") if p.is_file()) * 4
    place, folder = bench.trial(run, copied=False)
    folder.mkdir(parents=True)
    kib = rng.randint(8, max(12, need >> 10))
    mount(folder, kib)
    try:
        first = call(bench.command("train", run), place)
        if first.status == 0:
            first = call(bench.command("evaluate", run), place)
        if first.status and not first.line.startswith("error: "):
            raise Defect("no clear error", first.errors[-500:])
        mount(folder, 1 << 18, "remount,")
        errors = [first.line] if first.status else []
        errors += bench.again(run, place)
        bench.compare(run, folder)
    finally:
        subprocess.run(["umount", folder], check=True)
    shutil.rmtree(place)
    return f"{kib} KiB", errors


def mount(folder: Path, kib: int, options: str = "") -> None:
    """A disk in memory of this size."""
    command = ["mount", "-t", "tmpfs", "-o", f"{options}size={kib}k", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def can_mount(folder: Path) -> str:
    """Why no small disk can be had here; empty if one can."""
    folder.mkdir()
    try:
        mount(folder, 64)
    except (OSError, subprocess.CalledProcessError):
        return "needs the right to mount a small disk (root)"
    subprocess.run(["umount", folder], check=True)
    return ""


def not_a_number(bench: Bench, run: str, rng: random.Random) -> tuple[str, list[str]]:
    """A user's method whose loss becomes NaN, or that raises, in some round; then it is mended."""
    place, folder = bench.trial("mine", copied=False)
    kind, step = rng.choice(sorted(NAN_FAULTS)), rng.randrange(12)
    for file in ("mine.py", "mine.yml"):
        shutil.copy(bench.root / file, place)
    sound = (place / "mine.py").read_text()
    (place / "mine.py").write_text(NAN_METHOD.format(fault=NAN_FAULTS[kind].format(step=step)))
    line = bench.once("mine", place, folder)
    if line is None or ("round" not in line and USERS_OWN not in line):
        raise Defect("no clear error", str(line))
    (place / "mine.py").write_text(sound)
    errors = [line, *bench.again("mine", place)]
    bench.compare("mine", folder)
    shutil.rmtree(place)
    return f"{kind} in round {step}", errors


def snakemake_killed(bench: Bench, run: str, rng: random.Random) -> tuple[str, list[str]]:
    """Snakemake itself, alone or with all of its jobs, is killed; then the same call ends the work."""
    place, folder = bench.trial(run, copied=False)
    for name in ("Snakefile", "environment.yml", "benchmarks", "methods", "workflow", "profiles"):
        (place / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", f"results/{PROFILE}/{run}/seed0/metrics.json"]
    command += ["--config", f"profile={PROFILE}"]
    environment = {**os.environ, "PYTHONPATH": str(place), "CUDA_VISIBLE_DEVICES": ""}
    kind, group = rng.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)), rng.random() < 0.5
    quiet = subprocess.DEVNULL
    victim = subprocess.Popen(command, cwd=place, env=environment, start_new_session=True, stdout=quiet, stderr=quiet)
    time.sleep(rng.uniform(2, 30))
    (os.killpg if group else os.kill)(victim.pid, kind)
    victim.wait()
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Defect("lost", done.stderr[-1000:])
    errors = bench.again(run, place)
    bench.compare(run, folder)
    shutil.rmtree(place)
    return f"{kind.name} to {'all processes' if group else 'Snakemake'}", errors


Kind = Callable[[Bench, str, random.Random], tuple[object, list[str]]]
KINDS: dict[str, Kind] = {
    "damaged": damaged,
    "full disk": full_disk,
    "not a number": not_a_number,
    "Snakemake killed": snakemake_killed,
}
