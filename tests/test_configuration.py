"""Bad input gives one clear line, before any job starts."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import catalogue, config
from benchmarks.cli import main
from benchmarks.errors import SuiteError
from benchmarks.suite import Suite

ROOT = Path(__file__).resolve().parent.parent
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
        config.load_yaml(broken)
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
    from methods.build import build_method

    method = build_method(specification, (1, 2, 2))
    assert method.beta(0) == 0.5
    file.write_text(file.read_text().replace("0.5", "0.25"))
    catalogue.forget()
    assert suite.code("mine") != before


def test_code_hash_sees_code_and_not_comments(tmp_path):
    file = tmp_path / "a.py"
    file.write_text('"""Doc."""\nx = 1  # comment\n')
    first = catalogue.code_hash({file})
    catalogue.forget()
    file.write_text('"""Other words."""\n\nx = 1\n')
    assert catalogue.code_hash({file}) == first
    catalogue.forget()
    file.write_text("x = 2\n")
    assert catalogue.code_hash({file}) != first


def test_code_hash_does_not_see_what_only_describes(tmp_path):
    file = tmp_path / "a.py"

    def hash_of(body):
        catalogue.forget()
        file.write_text(f'class A:\n    """Doc."""\n\n{body}')
        return catalogue.code_hash({file})

    plain = hash_of("    paper = 'P'\n")
    assert hash_of("    paper = 'P'\n    correspondence = {'x': 'data'}\n    relations = {'B': 'extends'}\n") == plain
    assert hash_of("    paper = 'P'\n    relations: ClassVar[dict[str, str]] = {}\n") == plain
    assert hash_of("    relations = {'B': 'extends'}\n") == hash_of("    pass\n")
    assert (
        hash_of("    paper = 'P'\n\n\nBIAS = 'upward'\n") == plain != hash_of("    paper = 'P'\n    BIAS = 'upward'\n")
    )
    assert hash_of("    paper = 'Q'\n") != plain
    assert hash_of("    paper = 'P'\n    x, relations = 1, 2\n") != plain
    assert hash_of("    paper = 'P'\n\n\nrelations = {'B': 'extends'}\n") != plain


def test_an_edit_touches_what_imports_it_and_nothing_else():
    avb = catalogue.closure(ROOT / "methods" / "avb.py")
    assert ROOT / "methods" / "terms.py" in avb
    assert ROOT / "methods" / "hvi.py" not in avb


def test_dependencies_point_one_way():
    for path in (ROOT / "methods").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = getattr(node, "module", None) or ""
            assert not module.startswith(("benchmarks", "workflow")), path
    for path in (ROOT / "benchmarks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (getattr(node, "module", None) or "").startswith("workflow"), path


def test_what_snakemake_loads_is_free_of_torch():
    code = "import sys; from benchmarks.suite import Suite; Suite('quick').jobs; sys.exit('torch' in sys.modules)"
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


def test_data_that_a_training_fetched_itself_do_not_repeat_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGB_DATA_ROOT", str(tmp_path))
    suite = Suite("laptop")
    assert suite.data_state("vae-mnist-8") == "absent"
    record = tmp_path / "results" / "laptop" / "vae-mnist-8" / "seed0" / "run.json"
    record.parent.mkdir(parents=True)
    for file in suite.dataset_of("vae-mnist-8")[1].files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    for status, state in (("ok", "absent"), ("not run", "present")):  # what lacked its data is tried again
        record.write_text(f'{{"status": "{status}", "data_state": "absent"}}')
        assert suite.data_state("vae-mnist-8") == state
