"""An installed wheel is the whole suite but for Snakemake's rules: sub-packages, YAML, numbers and templates."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from tests.helpers.documents import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the content of a wheel that was built from a copy of the source."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    files = subprocess.run(["git", "ls-files", "benchmarks", "methods", "pyproject.toml", "README.md", "LICENSE"],
                           cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(source)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_trains_evaluates_and_shows(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def call(*arguments):
        done = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=tmp_path, env=environment,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = [sys.executable, "-c", "import benchmarks; print(benchmarks.__file__)"]
    assert str(installed) in subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout
    assert "AVB" in call("list")
    assert "packages: " in call("doctor")
    call("train", "vae-4-point", "--profile", "smoke")
    record = json.loads((tmp_path / "results/smoke/vae-4-point/seed0/run.json").read_text())
    assert record["status"] == "ok"
    only = ("--profile", "smoke", "--only", "avb-table-1")
    call("collect", *only)
    call("report", *only)
    assert (tmp_path / "reports/smoke/only/avb-table-1/index.html").exists()


def test_a_wheel_has_the_script(installed):
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "vgbench = benchmarks.__main__:run" in entry_points.read_text()
