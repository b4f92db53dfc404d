"""What the README promises, by Snakemake itself: what failed, is stale, damaged or deleted is made again, and only it.

Every call is the same command, given again; nothing is touched between a failure and the call that mends it.
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.plan.staleness import Freshness
from benchmarks.plan.suite import Suite
from tests.helpers.calls import CALL, FOLLOWING, ONLY, PAGE, contents, damage, own_runs, planned, status_of, told
from tests.workflow.test_dag import copy_tree, snakemake


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A table and a problem, made once."""
    folder = copy_tree(tmp_path_factory.mktemp("promise"))
    done = snakemake(folder, *CALL)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not planned(folder)
    return folder


@pytest.fixture
def tree(finished, tmp_path):
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


TORUS, VAE = "results/smoke/avb-ac-torus/seed0", "results/smoke/vae-4-point/seed0"
TRAIN_VAE, TRAIN_TORUS = (
    {f"{rule} {run}" for rule in ("train", "evaluate")} for run in ("vae-4-point", "avb-ac-torus")
)
REFERENCE = {"reference torus", "evaluate avb-ac-torus"}


LOST = {
    "delete .snakemake": set(),
    "delete results/smoke/vae-4-point": TRAIN_VAE | FOLLOWING,
    f"damage {VAE}/run.json": TRAIN_VAE | FOLLOWING,
    f"damage {VAE}/elbo.json": {"evaluate vae-4-point"} | FOLLOWING,
    f"damage {TORUS}/posterior_draws.npz": {"evaluate avb-ac-torus"} | FOLLOWING,
    "damage results/smoke/references/torus.npz": REFERENCE | FOLLOWING,
    "damage results/smoke/results.parquet": FOLLOWING,
    "delete reports": {"report", "verdict"},
    f"damage {PAGE}/avb-table-1.md": {"report", "verdict"},
}
MORE = {
    f"delete {VAE}/run.json": TRAIN_VAE | FOLLOWING,
    f"delete {VAE}/metrics.json": {"evaluate vae-4-point"} | FOLLOWING,
    f"delete {VAE}/elbo.json": {"evaluate vae-4-point"} | FOLLOWING,
    f"delete {VAE}/weights.safetensors": TRAIN_VAE | FOLLOWING,
    f"delete {VAE}/history.parquet": TRAIN_VAE | FOLLOWING,
    f"damage {VAE}/metrics.json": {"evaluate vae-4-point"} | FOLLOWING,
    f"damage {VAE}/weights.safetensors": TRAIN_VAE | FOLLOWING,
    "damage results/smoke/references/torus.json": REFERENCE | FOLLOWING,
    "delete results/smoke/references/torus.npz": REFERENCE | FOLLOWING,
    "delete results/smoke/results.csv": FOLLOWING,
    "delete results/smoke/results.parquet": FOLLOWING,
    f"delete {PAGE}/index.html": {"report", "verdict"},
    f"damage {PAGE}/index.html": {"report", "verdict"},
    f"delete {PAGE}/avb-table-1.csv": {"report", "verdict"},
    f"damage {VAE}/trained.json": set(),  # a copy of run.json
}


def lose(folder, what):
    """Delete or damage a file of the folder, or delete a folder in it."""
    how, name = what.split()
    path = folder / name
    if how == "damage":
        damage(path)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@pytest.mark.parametrize(("what", "jobs"), LOST.items(), ids=LOST.keys())
def test_snakemake_would_make_again_what_is_lost_and_nothing_else(tree, what, jobs):
    lose(tree, what)
    assert planned(tree) == jobs


@pytest.mark.parametrize(("what", "jobs"), (LOST | MORE).items(), ids=(LOST | MORE).keys())
def test_snakemake_is_told_what_is_lost_and_nothing_else(tree, monkeypatch, what, jobs):
    monkeypatch.chdir(tree)
    lose(tree, what)
    told_of = {job_of(file) for file in Freshness(Suite("smoke", None, list(ONLY))).again()}
    assert told_of <= jobs
    assert jobs - told_of <= FOLLOWING


def job_of(file):
    """The job that makes a file, as `planned` has it."""
    parts = file.split("/")
    if parts[-1] in ("run.json", "metrics.json"):
        return f"{'train' if parts[-1] == 'run.json' else 'evaluate'} {parts[-3]}"
    if parts[-2] == "references":
        return f"reference {parts[-1].removesuffix('.json')}"
    return "report" if parts[0] == "reports" else "collect"


def test_what_was_lost_is_made_again_once_and_is_the_same(tree):
    before = contents(tree)
    shutil.rmtree(tree / ".snakemake")
    shutil.rmtree(tree / "results/smoke/avb-4-point")
    for name in (f"{VAE}/elbo.json", f"{TORUS}/weights.safetensors", f"{PAGE}/avb-table-1.tex"):
        damage(tree / name)
    done = snakemake(tree, *CALL)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = {"evaluate vae-4-point", "train avb-4-point", "evaluate avb-4-point"} | TRAIN_TORUS | FOLLOWING
    assert sorted(" ".join(job).strip() for job in told(done)) == sorted(expected)  # each once
    assert contents(tree) == before
    assert not planned(tree)


def test_results_of_another_state_of_the_code_are_made_anew(tree):
    shutil.rmtree(tree / ".snakemake")
    file = tree / "methods" / "training" / "trainer.py"
    file.write_text(file.read_text().replace("total // 200", "total // 100"))
    everything = {f"{rule} {run}" for rule in ("train", "evaluate") for run in ("avb-4-point", "vae-4-point")}
    assert planned(tree) == everything | TRAIN_TORUS | FOLLOWING


def test_every_kind_of_job_may_break_and_the_page_has_all_the_rest(tree):
    call = own_runs(tree, killed="Kill", exits="Exit", rebuild="Rebuild", sampled="Sample", sound="Own")
    (tree / "broken").touch()
    first = snakemake(tree, *call)
    assert first.returncode == 1
    page = (tree / "reports/smoke/only/avb-table-1-with-mine/index.html").read_text()
    assert status_of(tree, "killed") == ("failed", "killed by signal 9: out of memory?")
    assert status_of(tree, "exits") == ("failed", "the method ended the process: sys.exit(0)")
    for run in ("rebuild", "sampled", "sound"):
        assert status_of(tree, run) == ("ok", "")
    results = json.loads((tree / "results/smoke/results.json").read_text())
    reasons = {(row["run"], row["metric"]): (row["status"], row["reason"]) for row in results if row["final"]}
    assert reasons["rebuild", "elbo"] == ("failed", "RuntimeError: CUDA out of memory")
    assert reasons["sampled", "aggregated_kl"][0] == "failed"
    for run in ("sound", "vae-4-point", "avb-4-point"):
        assert {status for (name, _), (status, _) in reasons.items() if name == run} <= {"ok", "not run"}
    for text in ("killed by signal 9: out of memory?", "CUDA out of memory", "Contract of killed: failed"):
        assert text in page
    assert "failed: killed/seed0: training: killed by signal 9" in first.stderr
    (tree / "broken").unlink()
    second = snakemake(tree, *call)
    assert second.returncode == 0, second.stderr[-3000:]
    again = {" ".join(job).strip() for job in told(second)}
    assert not {f"{rule} {run}" for rule in ("train", "evaluate") for run in ("sound", "vae-4-point")} & again
    assert {"train killed", "train exits", "contract killed", "evaluate rebuild", "evaluate sampled"} <= again
    assert "train rebuild" not in again
    assert "train sampled" not in again
    assert not planned(tree, *call)


def test_what_fails_once_is_tried_again_by_the_same_call(tree):
    call = (*own_runs(tree, transient="Transient"), "only=avb-ac-torus")
    file = tree / "benchmarks" / "posteriors" / "references.py"
    fault = """    if not Path("tried").exists():
        Path("tried").touch()
        raise TypeError("only size-1 arrays can be converted")
"""
    begin = '    generator = torch.Generator().manual_seed(seed_of(name, 0, "reference"))\n'
    assert begin in file.read_text()
    file.write_text(file.read_text().replace(begin, fault + begin, 1))
    first = snakemake(tree, *call)
    assert first.returncode == 1
    assert "failed: transient/seed0: training: RuntimeError: CUDA out of memory" in first.stderr
    assert "failed: transient: contract: a move of model" in first.stderr
    assert "reference torus: failed: TypeError: only size-1 arrays" in first.stderr
    page = (tree / "reports/smoke/only/avb-ac-torus+avb-table-1-with-mine/index.html").read_text()
    for text in ("CUDA out of memory", "only size-1 arrays can be converted", 'id="run-vae-4-point"'):
        assert text in page
    second = snakemake(tree, *call)
    assert second.returncode == 0, second.stderr[-3000:]
    again = {f"{rule} transient" for rule in ("train", "evaluate", "contract")} | REFERENCE
    assert {" ".join(job).strip() for job in told(second)} == again | FOLLOWING
    assert not planned(tree, *call)


def test_two_equal_calls_at_once_in_a_folder_of_an_odd_name(finished, tmp_path):
    folder = tmp_path / 'it\'s a "$HOME" of ünïcode'
    shutil.copytree(finished, folder)
    before = contents(folder)
    shutil.rmtree(folder / "results/smoke/vae-4-point")
    damage(folder / f"{TORUS}/posterior_draws.npz")
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(snakemake, folder, *CALL) for _ in range(2)]
    for call in calls:
        assert call.result().returncode == 0, call.result().stderr[-3000:]
    assert contents(folder) == before
    assert not planned(folder)


def test_a_report_that_is_killed_leaves_the_earlier_page(tree):
    page, text = tree / PAGE / "index.html", (tree / PAGE / "index.html").read_bytes()
    file = tree / "benchmarks" / "report" / "page.py"
    killed = "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    begin = "    templates = environment()\n"
    assert begin in file.read_text()
    file.write_text(file.read_text().replace(begin, killed + begin, 1))
    assert snakemake(tree, *CALL).returncode == 1
    assert page.read_bytes() == text
    file.write_text(file.read_text().replace(killed, "", 1))
    assert snakemake(tree, *CALL).returncode == 0
    assert not planned(tree)
