"""Bad input gives one clear line, before any job starts."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.cli.main import main
from benchmarks.config import models
from benchmarks.errors import SuiteError
from benchmarks.plan import fingerprint
from benchmarks.plan.staleness import Freshness
from benchmarks.plan.suite import Suite
from benchmarks.store.records import RunRecord

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "method": "VAE",
    "dataset": "4-point",
    "latent_dim": 2,
    "components": {"encoder": "toy-gaussian-encoder", "decoder": "toy-decoder"},
    "train": {"steps": 10, "batch_size": 8, "learning_rate": 0.001},
}


def suite_with(tmp_path, **changes):
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump({"mine": {**GOOD, **changes}}))
    return Suite("smoke", path)


def test_a_users_run_gets_every_applicable_metric(tmp_path):
    suite = suite_with(tmp_path)
    assert {"elbo", "importance_bound", "ais", "log_likelihood", "aggregated_kl"} <= suite.wanted["mine"]
    assert "kl_exact" not in suite.wanted["mine"]


@pytest.mark.parametrize(
    ("changes", "pieces"),
    [
        ({"method": "VEA"}, ["'VEA'", "did you mean 'VAE'"]),
        ({"dataset": "mnits"}, ["'mnits'", "did you mean 'mnist'"]),
        ({"latent_dims": 3}, ["'latent_dims'", "did you mean 'latent_dim'", "mine.yml"]),
        ({"latent_dim": "two"}, ["latent_dim", "'two'"]),
        ({"options": {"aneal_steps": 3}}, ["'aneal_steps'", "did you mean 'anneal_steps'"]),
        ({"options": {"anneal_steps": "many"}}, ["anneal_steps", "'many'", "int"]),
        ({"components": {"encoder": "toy-gausian-encoder", "decoder": "toy-decoder"}}, ["did you mean 'toy-gaussian"]),
        ({"components": {"encoder": {"class": "GausianEncoder"}, "decoder": "toy-decoder"}}, ["'GaussianEncoder'"]),
        ({"components": {"encoder": "toy-gaussian-encoder"}}, ["missing component", "decoder"]),
        ({"components": {"encoder": "toy-implicit-encoder", "decoder": "toy-decoder"}}, ["'closed_kl'", "NoiseMLP"]),
        ({"train": {**GOOD["train"], "stepz": 3}}, ["'stepz'", "did you mean 'steps'"]),
        ({"train": {"steps": 3, "batch_size": 8}}, ["learning_rate", "missing"]),
        ({"train": {**GOOD["train"], "learning_rate": {"modl": 0.1}}}, ["player"]),
        ({"method": "nowhere.py:Mine"}, ["nowhere.py", "no such file"]),
    ],
)
def test_a_mistake_in_a_run_is_one_line(tmp_path, changes, pieces):
    with pytest.raises(SuiteError) as caught:
        suite_with(tmp_path, **changes)
    message = str(caught.value)
    assert "\n" not in message
    assert all(piece in message for piece in pieces), message


def test_unknown_profile_metric_and_yaml_errors(tmp_path, monkeypatch, capsys):
    with pytest.raises(SuiteError, match="did you mean 'quick'"):
        Suite("quik")
    suite = Suite("smoke")
    with pytest.raises(SuiteError, match="did you mean 'elbo'"):
        suite.choose("vae-4-point", "elbow")
    broken = tmp_path / "broken.yml"
    broken.write_text("a: [1, 2\nb: 3\n")
    with pytest.raises(SuiteError, match=r"broken.yml:2: not valid YAML"):
        models.load_yaml(broken)
    assert main(["check", "--profile", "quik"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["train", "vae-4-piont", "--profile", "smoke"]) == 2
    assert "did you mean 'vae-4-point'" in capsys.readouterr().err
    assert main(["data", "mnits"]) == 2


def test_a_users_method_is_one_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from methods.vae import VAE\n\n\nclass HalfKL(VAE):\n    paper = 'mine'\n    equations = '1'\n"
        "    player_names = ('model',)\n\n    def beta(self, step):\n        return 0.5\n"
    )
    suite = suite_with(tmp_path, method=f"{file}:HalfKL")
    specification = suite.specification("mine")
    assert specification["method"] == f"{file}:HalfKL"
    assert suite.code("mine") != suite.code("vae-4-point")
    before = suite.code("mine")
    from methods.networks.build import build_method

    method = build_method(specification, (1, 2, 2))
    assert method.beta(0) == 0.5
    file.write_text(file.read_text().replace("0.5", "0.25"))
    fingerprint.forget()
    assert suite.code("mine") != before


def test_what_snakemake_loads_is_free_of_torch():
    code = "import sys; from benchmarks.plan.suite import Suite; Suite('quick').jobs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_environment_mirrors_pyproject():
    import tomllib

    names = {"pytorch": "torch", "matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]

    def split(text):
        cut = next(i for i, c in enumerate(text) if c in "<>=")
        return names.get(text[:cut], text[:cut]), text[cut:]

    mirrored = dict(split(d) for d in conda)
    assert mirrored.pop("python") == project["requires-python"]
    assert mirrored == dict(split(d) for d in project["dependencies"])


def test_every_profile_is_consistent():
    for profile in ("smoke", "quick", "quick-seeds", "laptop", "paper"):
        assert Suite(profile).jobs


@pytest.mark.parametrize("profile", ["quick", "laptop", "paper"])
@pytest.mark.parametrize("only", [["vae-mnist-8", "avb-mnist-8"], ["asvae-table-2"], ["asvae-table-1", "avb-table-2"]])
def test_only_asks_of_each_run_what_its_own_command_computes(profile, only):
    everything = Suite(profile).jobs
    for folder, job in Suite(profile, only=only).jobs.items():
        assert job.metrics == everything[folder].metrics


def test_compare_asks_of_a_run_of_ones_own_what_its_own_command_computes(tmp_path):
    file = tmp_path / "mine.yml"
    file.write_text("mine: {like: vae-mnist-8}\nsharp: {like: dcgan-cifar10}\n")
    alone = Suite("laptop", file)
    for table in ("avb-table-2", "asvae-table-2"):
        for folder, job in Suite("laptop", file, compare=[table]).jobs.items():
            assert job.metrics.items() <= alone.jobs[folder].metrics.items()


def record_with(data, status):
    return RunRecord(
        run="vae-mnist-8", seed=0, profile="laptop", status=status, reason="text" * (status != "ok"), dataset="mnist",
        specification=Suite("laptop").specification("vae-mnist-8"), code=Suite("laptop").code("vae-mnist-8"), data=data,
    )  # fmt: skip


def test_data_that_come_or_go_or_change_are_told_by_their_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGB_DATA_ROOT", str(tmp_path))
    suite = Suite("laptop")
    job, fresh = suite.jobs["vae-mnist-8/seed0"], Freshness(suite)
    assert suite.data("vae-mnist-8") == "absent"
    assert fresh.changed(job, record_with("absent", "not run")) == ""
    assert fresh.changed(job, record_with("0123", "ok")) == ""  # what was computed of them remains
    for file in suite.dataset_of("vae-mnist-8")[1].files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    there = suite.data("vae-mnist-8")
    assert fresh.changed(job, record_with("absent", "not run")) == f"data absent -> {there}"
    assert fresh.changed(job, record_with(there, "ok")) == ""
    assert fresh.changed(job, record_with("0123", "ok")) == f"data 0123 -> {there}"


@pytest.mark.parametrize(
    ("only", "hint"),
    [
        (["gan-sharper-than-va"], "did you mean 'gan-sharper-than-vae'?"),
        (["avb-figure-33"], "did you mean 'avb-figure-3'?"),
        (["avb-table-1avb-table-2"], "did you mean 'avb-table-1' and 'avb-table-2'? Write a comma between them"),
        (["avb-table-1;asvae-table-1;avb-figure-3"], "'avb-table-1' and 'asvae-table-1' and 'avb-figure-3'?"),
    ],
)
def test_hints_know_every_kind_of_name_and_missing_separators(only, hint):
    with pytest.raises(SuiteError) as error:
        Suite("quick", only=only)
    assert hint in str(error.value)
