"""The slurm profile on a real Slurm of one node: jobs and the controller are killed, the results stay the same.

Needs root, Debian's slurm-wlm and munge (tests/helpers/slurm/cluster.sh install) and pip install -e '.[slurm]'.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.workflow.test_dag import copy_tree

CLUSTER = Path(__file__).parents[1] / "helpers" / "slurm" / "cluster.sh"
RUN = (
    "  method: AVB\n  dataset: 4-point\n  latent_dim: 2\n"
    "  components: {encoder: toy-implicit-encoder, decoder: toy-decoder, adversary: toy-adversary,\n"
    "               contrast: prior-contrast, divergence: jensen-shannon}\n"
    "  train: {steps: 75, batch_size: 60000, learning_rate: {model: 1.0e-3, adversary: 2.0e-3}}\n"
)
TIMES = {"seconds", "images_per_second", "peak_memory_mib", "started", "sha256"}  # the last: of a record with times
TIMINGS = {"epoch_cost", "sampling_speed"}


def missing():
    """Why there can be no cluster here; empty if there can."""
    if not os.environ.get("VGB_TEST_SLURM"):
        return "takes minutes and a machine of its own: set VGB_TEST_SLURM=1"
    if os.getuid() != 0:
        return "not root"
    if not all(shutil.which(name) for name in ("munged", "slurmctld", "slurmd", "sbatch")):
        return "no Slurm: tests/helpers/slurm/cluster.sh install"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "no Slurm plugin: pip install -e '.[slurm]'"
    return "this machine has a Slurm of its own" if Path("/etc/slurm/slurm.conf").exists() else ""


@pytest.fixture
def started():
    """Calls of Snakemake; those that still run at the end are killed."""
    calls: list[subprocess.Popen] = []
    yield calls
    for call in calls:
        call.kill()


@pytest.fixture
def cluster(tmp_path):
    """The folder of a running cluster."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    try:
        subprocess.run([CLUSTER, "start", folder], check=True, timeout=120)
        yield folder
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=True, timeout=60)


def start(folder, *arguments):
    """A copy of the tree with two slow runs, and Snakemake at work on them."""
    folder.mkdir()
    copy_tree(folder)
    (folder / "mine.yml").write_text(f"killed:\n{RUN}cancelled:\n{RUN}")
    rule = folder / "workflow" / "rules" / "train.smk"
    rule.write_text(rule.read_text().replace("--threads {threads}", "--threads {threads} --checkpoint-seconds 0.2"))
    environment = {**os.environ, "PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    config = ["--config", "profile=quick", "runs=mine.yml", "only=killed,cancelled"]
    command = [sys.executable, "-m", "snakemake", "evaluated", *arguments, *config]
    with open(folder / "snakemake.log", "w") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def in_the_middle(jobs):
    """Each training below `jobs` once it has a checkpoint, in the order in which they come to it."""
    waiting, deadline = {"killed", "cancelled"}, time.monotonic() + 300
    while waiting:
        assert time.monotonic() < deadline, f"{jobs}: no checkpoint of {waiting}"
        for name in sorted(waiting):
            assert not (jobs / name / "seed0" / "run.json").exists(), f"{name}: finished too early to be killed"
            if (jobs / name / "seed0" / "checkpoint" / "state.safetensors").exists():
                waiting.remove(name)
                yield name
        time.sleep(0.05)


def cancel(comment):
    """scancel the job that the plugin gave this comment."""
    listed = subprocess.run(["squeue", "--noheader", "--format=%i %k"], capture_output=True, text=True, check=True)
    number = next(line.split()[0] for line in listed.stdout.splitlines() if line.endswith(comment))
    subprocess.run(["scancel", number], check=True)


def running():
    """How many trainings Slurm runs: a controller that dies while it takes a job in may lose it."""
    command = ["squeue", "--noheader", "--states=RUNNING", "--format=%k"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("rule_train")


def wait_until(holds, log):
    """Until it holds; shows the log if it does not within two minutes."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)


def results(folder):
    """Weights, records and metrics of every run by file, without times."""

    def timeless(part):
        return {key: value for key, value in part.items() if key not in TIMES}

    jobs = folder / "results" / "quick"
    files = {path.relative_to(jobs): path for path in jobs.glob("*/seed0/*") if path.stem not in TIMINGS}
    texts = {n: json.loads(path.read_text(), object_hook=timeless) for n, path in files.items() if n.suffix == ".json"}
    weights = {n: path.read_bytes() for n, path in files.items() if n.suffix == ".safetensors"}
    return texts | weights


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_killed_jobs_and_a_killed_controller_leave_the_results_of_a_local_run(cluster, started, tmp_path):
    local = start(tmp_path / "local", "--cores", "1")
    quick = ["--slurm-init-seconds-before-status-checks", "1", "--slurm-status-command", "squeue"]
    slurm = start(tmp_path / "slurm", "--workflow-profile", "workflow/profiles/slurm", *quick)
    started += [local, slurm]
    jobs = tmp_path / "slurm" / "results" / "quick"

    for name in in_the_middle(jobs):
        if name == "killed":
            os.kill(int((jobs / name / "seed0" / ".lock").read_text()), signal.SIGKILL)
        else:
            cancel("rule_train_wildcards_cancelled_0")
    log = tmp_path / "slurm" / "snakemake.log"
    wait_until(lambda: log.read_text().count("Trying to restart job") == 2 and running() == 2, log)
    time.sleep(8)  # the controller has written down that they run: what it took in just before its death is lost
    assert running() == 2, "finished too early to lose their controller"
    os.kill(int((cluster / "slurmctld.pid").read_text()), signal.SIGKILL)
    time.sleep(2)
    subprocess.run([CLUSTER, "controller", cluster], check=True, timeout=60)

    assert slurm.wait(600) == 0, log.read_text()[-3000:]
    assert log.read_text().count("Trying to restart job") == 2
    assert local.wait(600) == 0
    here, there = results(tmp_path / "local"), results(tmp_path / "slurm")
    assert len([name for name in here if name.suffix == ".safetensors"]) == 2
    assert here.keys() == there.keys()
    assert [str(name) for name in here if here[name] != there[name]] == []
