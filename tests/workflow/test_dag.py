"""The real DAG in its smoke cut, in a copy of the tree: what runs, what reruns, and what survives a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest
from safetensors.torch import load_file

from benchmarks.plan.resources import limits
from benchmarks.plan.suite import Suite

ROOT = Path(__file__).resolve().parents[2]
TREE = ("Snakefile", "environment.yml", "benchmarks", "methods", "workflow", "profiles")


def snakemake(folder, *arguments, **kwargs):
    """Run snakemake in `folder` exactly as a user does."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, **kwargs)


def copy_tree(folder):
    """A working copy without results."""
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The smoke profile, run once."""
    folder = copy_tree(tmp_path_factory.mktemp("vgbench"))
    done = snakemake(folder, "--config", "profile=smoke")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def planned(folder, *arguments):
    """Rules and runs that a dry run would execute."""
    done = snakemake(folder, "--dry-run", "--config", "profile=smoke", *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    text = done.stdout + done.stderr
    jobs = set()
    rule = ""
    for line in text.splitlines():
        if line.startswith(("rule ", "localrule ")):
            rule = line.split()[1].rstrip(":")
        elif line.strip().startswith("wildcards:") and rule in ("train", "evaluate"):
            jobs.add((rule, line.split("run=")[1].split(",")[0]))
    return jobs, text


def test_everything_is_made_and_nothing_is_left_to_do(tree):
    reports = tree / "reports" / "smoke"
    page = (reports / "index.html").read_text()
    suite = Suite("smoke")
    for name in suite.tables:
        assert f'id="{name}"' in page
        for suffix in ("md", "tex", "csv"):
            assert (reports / f"{name}.{suffix}").stat().st_size > 100
    assert not [name for name in suite.figures if f'src="{name}.png"' not in page]
    for name in suite.figures:
        for suffix in ("png", "svg"):
            assert (reports / f"{name}.{suffix}").stat().st_size > 1000
    frame = pandas.read_parquet(tree / "results" / "smoke" / "results.parquet")
    assert set(frame.status) == {"ok", "not run"}
    assert frame[frame.status == "ok"].value.notna().all()
    assert frame[frame.status == "not run"].reason.str.len().gt(0).all()
    diagnostics = json.loads((tree / "results/smoke/references/eight-schools.json").read_text())
    assert diagnostics["log evidence"] == pytest.approx(-12.7108, abs=0.0005)
    assert all(abs(v) < 4 for k, v in diagnostics.items() if k.startswith("z-score"))  # HMC against exact draws
    assert "Nothing to be done" in snakemake(tree, "--config", "profile=smoke").stderr


def test_every_job_used_less_than_was_declared_for_it(tree):
    suite = Suite("smoke")
    frame = pandas.read_parquet(tree / "results" / "smoke" / "results.parquet")
    for run, rows in frame[frame.train_status == "ok"].groupby("run"):
        declared, seconds = limits(suite.specification(run), suite.dataset_of(run)[1]), rows.evaluation_seconds.sum()
        assert declared.mem_mb > rows.peak_memory_mib.max(), run
        assert 60 * declared.runtime > rows.seconds.iloc[0] + seconds, run


def test_evaluation_of_what_training_measured_loads_no_torch(tree):
    code = "import sys; from benchmarks.cli.main import main; main(['evaluate', 'vae-4-point', '--profile', 'smoke']); "
    metrics = tree / "results" / "smoke" / "vae-4-point" / "seed0" / "metrics.json"
    before = metrics.read_text()
    metrics.unlink()
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
    )
    assert done.returncode == 0
    assert metrics.read_text() == before


def test_an_options_change_reruns_that_run_only(tree):
    file = tree / "benchmarks" / "papers" / "avb" / "runs.yml"
    original = file.read_text()
    file.write_text(
        original.replace(
            "{steps: 100000, batch_size: 512, learning_rate: 2.0e-5}",
            "{steps: 100000, batch_size: 512, learning_rate: 2.0e-5, weight_decay: 0.1}",
        )
    )
    try:
        jobs, text = planned(tree)
    finally:
        file.write_text(original)
    assert jobs == {("train", "vae-4-point"), ("evaluate", "vae-4-point")}
    assert "rule report:" in text


def test_an_edited_imported_module_reruns_what_depends_on_it(tree):
    file = tree / "methods" / "hvi.py"
    original = file.read_text()
    file.write_text(original.replace("0.5 * eps * force", "0.25 * eps * force", 1))
    try:
        jobs, _ = planned(tree)
        file.write_text(original.replace('"""Hamiltonian', '# a comment\n"""Hamiltonian', 1))
        unchanged, text = planned(tree)
    finally:
        file.write_text(original)
    trained = {run for rule, run in jobs if rule == "train"}
    assert trained == {"vae-hvi-mnist", "conv-vae-hvi-mnist"}
    assert unchanged == set(), text


def test_a_selection_has_a_page_of_its_own_and_takes_nothing_from_the_whole(tree):
    page, results = tree / "reports/smoke/index.html", tree / "results/smoke/results.parquet"
    before, rows = page.read_bytes(), pandas.read_parquet(results)
    jobs, _ = planned(tree, "only=avb-table-1")
    assert jobs == set()
    done = snakemake(tree, "--config", "profile=smoke", "only=avb-table-1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'id="avb-table-1"' in (tree / "reports/smoke/only/avb-table-1/index.html").read_text()
    assert page.read_bytes() == before
    pandas.testing.assert_frame_equal(pandas.read_parquet(results), rows)
    assert "Nothing to be done" in snakemake(tree, "--config", "profile=smoke").stderr


def test_a_run_of_ones_own_stays_in_the_results_of_later_calls(tree):
    (tree / "mine.yml").write_text("mine: {like: vae-4-point}\n")
    for call in (("runs=mine.yml", "only=mine"), ("only=avb-table-1",)):
        done = snakemake(tree, "--config", "profile=smoke", *call)
        assert done.returncode == 0, done.stderr[-2000:]
    frame = pandas.read_csv(tree / "results/smoke/results.csv")
    assert set(frame[frame.run == "mine"].train_status) == {"ok"}
    assert {"vae-4-point", "avb-ac-torus"} <= set(frame.run)


def test_a_typing_mistake_ends_before_the_dag(tree):
    done = snakemake(tree, "--config", "profile=smok")
    assert done.returncode != 0
    assert "did you mean 'smoke'" in done.stderr


def test_a_failed_cell_reaches_the_report_and_is_tried_again(tmp_path):
    folder = copy_tree(tmp_path)
    runs = folder / "mine.yml"
    runs.write_text(
        "mine:\n  method: VAE\n  dataset: 4-point\n  latent_dim: 2\n"
        "  components: {encoder: toy-gaussian-encoder, decoder: toy-decoder}\n"
        "  train: {steps: 12, batch_size: 8, learning_rate: 1.0e+30}\n"
    )
    arguments = ("--config", "profile=smoke", "runs=mine.yml", "only=mine")
    first = snakemake(folder, *arguments)
    assert first.returncode != 0
    page = (folder / "reports" / "smoke" / "only" / "mine" / "index.html").read_text()
    assert "loss of player" in page
    assert "in round" in page
    record = json.loads((folder / "results/smoke/mine/seed0/run.json").read_text())
    assert record["status"] == "failed"
    runs.write_text(runs.read_text().replace("1.0e+30", "1.0e-3"))
    second = snakemake(folder, *arguments)
    assert second.returncode == 0, second.stderr[-2000:]


def test_kill_9_of_everything_continues_to_bitwise_the_same_weights(tmp_path):
    folder = copy_tree(tmp_path)
    (folder / "mine.yml").write_text(
        "mine:\n  method: AVB\n  dataset: 4-point\n  latent_dim: 2\n"
        "  components: {encoder: toy-implicit-encoder, decoder: toy-decoder, adversary: toy-adversary,\n"
        "               contrast: prior-contrast, divergence: jensen-shannon}\n"
        "  train: {steps: 1500, batch_size: 64, learning_rate: {model: 1.0e-3, adversary: 2.0e-3}}\n"
    )
    rule = folder / "workflow" / "rules" / "train.smk"
    rule.write_text(rule.read_text().replace("--threads {threads}", "--threads {threads} --checkpoint-seconds 0.2"))
    arguments = ["--config", "profile=quick", "runs=mine.yml", "only=mine"]
    target = "results/quick/mine/seed0/run.json"
    environment = {**os.environ, "PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", target, *arguments]
    victim = subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    checkpoint = folder / "results/quick/mine/seed0/checkpoint/state.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    assert checkpoint.exists()
    assert not (folder / target).exists()

    assert snakemake(folder, target, *arguments).returncode == 0
    killed = load_file(folder / "results/quick/mine/seed0/weights.safetensors")
    shutil.rmtree(folder / "results")
    assert snakemake(folder, target, *arguments).returncode == 0
    whole = load_file(folder / "results/quick/mine/seed0/weights.safetensors")
    assert killed.keys() == whole.keys()
    assert all((killed[k] == whole[k]).all() for k in whole)
