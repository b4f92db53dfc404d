"""Every command in the documents is run by a test, or says why it cannot be; generated parts are up to date."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.cli.main import main
from benchmarks.cli.schemas import KINDS, schemas
from benchmarks.config import method_cards, models
from tests.helpers.documents import commands, inline, is_a_test

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DAG = "test_dag.test_everything_is_made_and_nothing_is_left_to_do"
SELF = "test_documents."
TUTORIAL = "test_tutorial.test_every_command_of_the_tutorial_runs"
SLURM = "test_slurm.test_killed_jobs_and_a_killed_controller_leave_the_results_of_a_local_run"
CI = "CI: "  # the command is a line of .ci/run, or .ci/run itself
# command -> the test that runs it, `CI: ` and the line of .ci/run that does, or `not run: ` and why
RUN_BY = {
    "pip install -c constraints.txt -e . && snakemake --cores all": DAG,
    "pip install -c constraints.txt -e '.[test]' && pytest": CI
    + "pip install -q -c constraints.txt -e '.[test]' && pytest",
    "snakemake --cores all --use-conda": "not run: conda is not to be had where the tests run",
    "snakemake --cores all --config profile=NAME": DAG,
    "snakemake --cores all": DAG,
    "snakemake --report report.zip": "test_page.test_snakemake_s_report_has_the_same_pictures_with_captions",
    "snakemake --cores all --config runs=examples/mine.yml compare=avb-table-2": TUTORIAL,
    "python -m benchmarks": SELF + "test_commands_that_start_nothing",
    "python -m benchmarks check --runs examples/mine.yml --compare avb-table-2": TUTORIAL,
    "python -m benchmarks contract capacity-vae --runs examples/mine.yml": TUTORIAL,
    "python examples/my_samples.py": TUTORIAL,
    "python -m benchmarks evaluate samples.npz --as noisy-digits --table unifying-infogan-vaegan": TUTORIAL,
    "python -m benchmarks evaluate results/quick/capacity-vae/seed0/weights.safetensors"
    "      --as my-weights --table avb-table-2 --run vae-mnist-8": TUTORIAL,
    "python -m tests.faults --kills 100 --minutes 30": "test_faults.test_faults_end_equal_or_with_a_clear_error",
    "python -m benchmarks.speed.dag --runs 1000 --seeds 3": SELF + "test_the_dag_is_timed",
    "pip install -c constraints.txt -e '.[slurm]'": CI + "pip install -q -c constraints.txt -e '.[slurm]'",
    "snakemake --workflow-profile workflow/profiles/slurm --config profile=paper": SLURM,
    "snakemake --cores all --resources gpu=4": "not run: there is no GPU where the tests run",
    "python -m benchmarks list": "test_systems.test_the_list_is_complete_quick_and_free_of_torch",
    "python -m benchmarks list --metrics": SELF + "test_the_table_of_metrics_is_the_files",
    "python -m benchmarks doctor": SELF + "test_commands_that_start_nothing",
    "python -m benchmarks schema": SELF + "test_schemas_are_the_models_and_accept_every_file",
    "python -m benchmarks.metrics.measured_errors": SELF + "test_errors_are_measured",
    "python -m benchmarks.statistics.simulate": "test_claims.test_the_simulation_rewrites_its_page_and_picture",
    "python -m benchmarks plan --claims": "test_claims.test_plan_says_the_power_of_every_claim",
    "pip install -e '.[gpu]'": "not run: there is no GPU where the tests run",
    "snakedeploy pin-conda-envs environment.yml": "not run: conda is not to be had where the tests run",
    "snakemake --lint": CI + "snakemake --lint",
    ".ci/run": CI,
    "pre-commit install": "not run: it changes the developer's own hooks; its checks are those of .ci/run",
}


def test_every_command_of_the_documents_is_run_by_a_test():
    found = {command for path in DOCUMENTS for command in commands(path) + inline(path)}
    assert found - set(RUN_BY) == set(), "name the test that runs it"
    assert set(RUN_BY) - found == set(), "no document has it any more"
    script = (ROOT / ".ci" / "run").read_text()
    for command, by in RUN_BY.items():
        if by.startswith(CI):
            assert by.removeprefix(CI) in script, command
        else:
            assert by.startswith("not run: ") or is_a_test(by), (command, by)


def test_commands_are_found(tmp_path):
    file = tmp_path / "a.md"
    file.write_text(
        "Type `pytest -q` or:\n\n```sh\n# so\nsnakemake \\\n--cores 2\n```\n\n```python\nx = `pytest`\n```\n"
    )
    assert commands(file) == ["snakemake  --cores 2"]
    assert inline(file) == ["pytest -q"]


def test_commands_that_start_nothing(capsys):
    assert main(["doctor"]) in (0, 1)
    assert "digits" in capsys.readouterr().out


def test_the_table_of_metrics_is_the_files(capsys):
    assert main(["list", "--metrics"]) == 0
    table = capsys.readouterr().out.strip()
    text = (ROOT / "docs" / "protocols.md").read_text()
    begin, end = "<!-- metrics: python -m benchmarks list --metrics -->", "<!-- end of metrics -->"
    assert text.partition(begin)[2].partition(end)[0].strip() == table == method_cards.metrics_markdown()


def test_the_dag_is_timed():
    command = [sys.executable, "-m", "benchmarks.speed.dag", "--runs", "20", "--seeds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "jobs" in done.stdout


def test_errors_are_measured():
    """A line of the table, and that the document has every line's case."""
    import numpy

    from benchmarks.metrics import measured_errors

    text = (ROOT / "docs" / "protocols.md").read_text()
    lines = [*measured_errors.divergences(), *measured_errors.distances(), *measured_errors.annealings()]
    for what, case, *_ in lines:
        assert f"| {what} | {case} |" in text, case
    _, _, truth, estimate, _ = lines[0]
    assert abs(estimate(numpy.random.default_rng(0)) - truth) < 0.06


def test_schemas_are_the_models_and_accept_every_file(tmp_path):
    assert main(["schema", str(tmp_path)]) == 0
    for name in schemas():
        committed = ROOT / "benchmarks" / "schemas" / name
        assert committed.read_text() == (tmp_path / name).read_text(), "run python -m benchmarks schema"
    for kind in KINDS:
        checker = jsonschema.Draft202012Validator(json.loads((tmp_path / f"{kind}.json").read_text()))
        single = models.FOLDER / f"{kind}.yml"
        for path in [single] if single.exists() else models.FOLDER.glob(f"papers/*/{kind}.yml"):
            checker.validate(json.loads(json.dumps(models.load_yaml(path))))
    runs = jsonschema.Draft202012Validator(json.loads((tmp_path / "runs.json").read_text()))
    good = next(iter(models.load_yaml(models.FOLDER / "papers" / "avb" / "runs.yml").values()))
    with pytest.raises(jsonschema.ValidationError, match="'stepz' was unexpected"):
        runs.validate({"mine": {**good, "train": {**good["train"], "stepz": 3}}})


def test_the_tree_in_contributing_names_every_folder_and_nothing_else():
    tree = (ROOT / "CONTRIBUTING.md").read_text().partition("```text\n")[2].partition("```")[0]
    inside = {name for line in tree.splitlines() if line[0] == " " for name in re.findall(r"[\w*]+[./]\w*", line[:40])}
    have = {f"{path.parent.name}/" for path in (ROOT / "benchmarks").glob("[a-z]*/*.*")}
    assert {name for name in inside if name[-1] == "/"} == have
    assert all([*(ROOT / "benchmarks").rglob(name)] for name in inside if name[-1] != "/"), inside
    assert all((ROOT / name).is_dir() for name in re.findall(r"^[\w/]+/(?= )", tree, re.MULTILINE))


def test_the_container_runs_the_readmes_commands():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    said = dict(line.split(" ", 1) for line in lines if re.match(r"[A-Z]+ ", line))
    install, run = commands(ROOT / "README.md")[0].split(" && ")
    assert said["RUN"].replace(" --no-cache-dir", "") == install
    assert [*json.loads(said["ENTRYPOINT"]), *json.loads(said["CMD"])] == run.split()
    versions = re.search(r"python:(\d+)\.(\d+)", said["FROM"])
    assert versions is not None
    assert f'requires-python = ">={versions[1]}.{versions[2]}"' in (ROOT / "pyproject.toml").read_text()


def test_the_lock_pins_every_dependency_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for text in (*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)):
        wanted = Requirement(text)
        assert wanted.specifier.contains(pins[canonicalize_name(wanted.name)]), text
