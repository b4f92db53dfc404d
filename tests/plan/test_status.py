"""What `status` says of a finished call, of edits and of lost files, beside what Snakemake would do."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from benchmarks.plan.staleness import changes
from tests.workflow.test_dag import copy_tree, planned, snakemake

ONLY = ["avb-figure-1", "avb-table-1", "cyclegan-translates"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two problems, the 4-point data, and a run that a classifier judges, in the smoke profile."""
    folder = copy_tree(tmp_path_factory.mktemp("vgbench"))
    done = snakemake(folder, "evaluated", "--config", "profile=smoke", f"only={','.join(ONLY)}")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


STATES = """
import json, sys
from benchmarks.plan.staleness import Freshness
from benchmarks.plan.suite import Suite
fresh = Freshness(Suite("smoke", None, sys.argv[1:]))
jobs = [(rule, s.job.run) for s in fresh.jobs.values() for rule in ("train", "evaluate") if getattr(s, rule)]
cells = [(c.run, c.metric, c.state, c.why) for s in fresh.jobs.values() for c in s.cells]
print(json.dumps([jobs, cells, [name for name, why in fresh.problems.items() if why]]))
"""


def states(tree):
    """(jobs that would run, cells, references to make) as the tree's own code says."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-c", STATES, *ONLY]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    jobs, cells, references = json.loads(done.stdout)
    return {tuple(job) for job in jobs}, {(run, metric): (state, why) for run, metric, state, why in cells}, references


def agreed(tree):
    """`states`, after comparing its jobs with Snakemake's."""
    jobs, cells, references = states(tree)
    found, text = planned(tree, f"only={','.join(ONLY)}")
    assert jobs == found
    assert len(references) == text.count("rule reference:")
    return jobs, cells


@pytest.fixture
def edit(tree):
    """Replace text in one of the tree's files; the files are put back after the test."""
    before = {}

    def replace(name, old, new):
        path = tree / name
        before.setdefault(path, path.read_bytes())
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    yield replace
    for path, content in before.items():
        path.write_bytes(content)


def test_a_finished_call_is_fresh(tree):
    jobs, cells = agreed(tree)
    assert not jobs
    assert {state for state, _ in cells.values()} <= {"fresh", "not run"}
    assert all(why for state, why in cells.values() if state == "not run")


def test_an_edited_method_and_option_are_stale_with_their_cause(tree, edit):
    edit("methods/cyclegan.py", "square()", "abs()")
    options = "{steps: 100000, batch_size: 512, learning_rate: 2.0e-5"
    edit("benchmarks/papers/avb/runs.yml", options, options + ", weight_decay: 0.1")
    edit("benchmarks/profiles.yml", "aggregated_kl: {n: 500}", "aggregated_kl: {n: 400}")
    jobs, cells = agreed(tree)
    assert jobs == {
        ("train", "cyclegan-mnist"),
        ("train", "vae-4-point"),
        *(("evaluate", run) for run in ("cyclegan-mnist", "vae-4-point", "avb-4-point")),
    }
    state, why = cells["cyclegan-mnist", "translation_accuracy"]
    assert (state, why.split()[:2]) == ("stale", ["training:", "code"])
    assert cells["vae-4-point", "elbo"] == ("stale", "training: train.weight_decay 0.0 -> 0.1")
    assert cells["avb-4-point", "aggregated_kl"] == ("stale", "options.n 500 -> 400")
    assert cells["avb-4-point", "log_likelihood"] == ("fresh", "")


def test_edited_metrics_and_references_are_stale(tree, edit):
    edit("benchmarks/metrics/translation_accuracy.py", "return ", "return 0 or ")
    edit("benchmarks/posteriors/toys.py", "-(z.square().sum(1) - 2)", "-(z.square().sum(1) - 3)")
    jobs, cells = agreed(tree)
    assert ("evaluate", "cyclegan-mnist") in jobs
    assert ("evaluate", "avb-ac-torus") in jobs
    assert ("evaluate", "vae-4-point") not in jobs
    state, why = cells["cyclegan-mnist", "translation_accuracy"]
    assert (state, why) == ("stale", "code of evaluate")


def test_deleted_and_damaged_records_are_told(tree, edit):
    folder = tree / "results" / "smoke"
    damaged = folder / "vae-4-point/seed0/run.json"
    edit(damaged, damaged.read_text()[200:], "")
    gone = [folder / name for name in ("avb-ac-torus/seed0/run.json", "classifier-digits/seed0/metrics.json")]
    kept = [(path, path.read_bytes(), path.stat()) for path in gone]
    for path in gone:
        path.unlink()
    try:
        jobs, cells = agreed(tree)
    finally:
        for path, content, stat in kept:
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    evaluated = ("classifier-digits", "cyclegan-mnist", "vae-4-point", "avb-ac-torus")
    assert jobs == {("evaluate", run) for run in evaluated} | {("train", run) for run in evaluated[2:]}
    assert cells["avb-ac-torus", "kl_to_posterior"] == ("missing", "not trained")
    state, why = cells["vae-4-point", "elbo"]
    assert state == "stale"
    assert why.startswith("results/smoke/vae-4-point/seed0/run.json: damaged")


def test_a_damaged_and_a_deleted_metric_are_told(tree):
    path = tree / "results/smoke/avb-4-point/seed0/log_likelihood.json"
    content = path.read_text()
    try:
        path.write_text(content[:100])
        assert states(tree)[1]["avb-4-point", "log_likelihood"][0] == "stale"
        path.unlink()
        jobs, cells = agreed(tree)
    finally:
        path.write_text(content)
    assert jobs == {("evaluate", "avb-4-point")}
    assert cells["avb-4-point", "log_likelihood"] == ("missing", "not evaluated")


def test_changes_name_nested_keys():
    old = {"a": {"b": 1, "c": (1, 2)}, "d": {}}
    assert changes(old, {"a": {"b": 2, "c": [1, 2]}, "d": {}}) == ["a.b 1 -> 2"]
    assert changes(old, {"a": {"c": [1, 2]}, "e": "x", "d": {}}) == ["a.b 1 -> absent", "e absent -> x"]


def test_what_was_edited_during_a_call_ends_it_with_status_1_and_is_made_by_the_next(tree, tmp_path):
    folder = tmp_path / "elsewhere"
    shutil.copytree(tree, folder)
    shutil.rmtree(folder / ".snakemake")
    runs, only = folder / "benchmarks/papers/avb/runs.yml", "only=avb-table-1"
    runs.write_text(runs.read_text().replace("learning_rate: 2.0e-5", "learning_rate: 2.0e-5, weight_decay: 0.1", 1))
    command = [sys.executable, "-m", "benchmarks", "verdict", "--profile", "smoke", "--only", "avb-table-1"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "stale: vae-4-point/seed0: train.weight_decay 0.0 -> 0.1" in done.stderr
    assert planned(folder, only)[0] == {("train", "vae-4-point"), ("evaluate", "vae-4-point")}
