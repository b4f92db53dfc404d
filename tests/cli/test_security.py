"""Hostile inputs: nothing of them is run, and nothing is written outside the folders that are ours."""

import io
import os
import pickle
import shlex
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from benchmarks.cli.main import main
from benchmarks.config.models import Dataset, dataset_named, load_file
from benchmarks.data import datasets
from benchmarks.data.image_files import LARGEST_FILE
from benchmarks.errors import NotRunError, SuiteError
from methods.training.atomic_files import DamagedError, read_arrays, read_frame
from methods.training.checkpoint import read_tensors

ROOT = Path(__file__).resolve().parents[2]
SHELL = ["; touch hacked", "$(touch hacked)", "`touch hacked`", "a b", "'", '"', "a\nb", "& touch hacked", "-h", "../x"]
RUN = """
{name}:
  method: VAE
  dataset: 4-point
  latent_dim: 2
  components: {{encoder: toy-gaussian-encoder, decoder: toy-decoder}}
  train: {{steps: 3, batch_size: 8, learning_rate: 0.001}}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("VGB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VGB_DATA_ROOT", raising=False)


class Hostile:
    """Touches `hacked` in the current folder when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch hacked",)


def test_the_pickle_would_run_if_anyone_read_it():
    pickle.loads(pickle.dumps(Hostile()))  # on purpose: the tests below would prove nothing with a harmless file
    assert Path("hacked").exists()


@pytest.mark.parametrize("read", [read_tensors, read_arrays, read_frame])
def test_a_pickle_under_any_name_is_damage(read):
    torch.save({"a": Hostile()}, "torch")
    Path("pickle").write_bytes(pickle.dumps(Hostile()))
    with open("object.npz", "wb") as file:
        numpy.savez(file, a=numpy.array([Hostile()], dtype=object))
    for name in ("torch", "pickle", "object.npz"):
        with pytest.raises(DamagedError, match=f"{name}: damaged"):
            read(Path(name))
    assert not Path("hacked").exists()


def test_a_pickle_instead_of_cifar10_or_inception_is_not_loaded(tmp_path):
    definition = load_file("datasets.yml", Dataset)["cifar10"]
    for file in definition.files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(SuiteError, match="md5"):
        datasets.load_arrays("cifar10", definition, tmp_path)
    from benchmarks.metrics.estimators.inception import WEIGHTS, weights_file

    torch.save(Hostile(), tmp_path / WEIGHTS)
    with pytest.raises(SuiteError, match="SHA-256"):
        weights_file(tmp_path, download=False)
    assert not Path("hacked").exists()


@pytest.mark.parametrize(
    "tag", ["python/object/apply:os.system", "python/object/new:os.system", "python/name:os.system"]
)
def test_yaml_makes_no_objects(tag, capsys):
    Path("mine.yml").write_text(f"mine: !!{tag} ['touch hacked']\n")
    assert main(["check", "--profile", "smoke", "--runs", "mine.yml"]) == 2
    error = capsys.readouterr().err
    assert "mine.yml:1: not valid YAML" in error
    assert error.count("\n") == 1
    assert not Path("hacked").exists()


def png(value: int) -> bytes:
    """A small image."""
    file = io.BytesIO()
    Image.new("L", (4, 4), value).save(file, "png")
    return file.getvalue()


def load_zip(name: str):
    """The images of a zip of one's own."""
    definition = dataset_named("run mine", f"folder:{name}", {})
    return datasets.load_arrays("mine", definition, Path("nowhere"))


def test_a_zip_cannot_write_outside(tmp_path):
    before = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
    with zipfile.ZipFile("mine.zip", "w") as archive:
        for k, name in enumerate(("../../up.png", "/absolute.png", "a/../../b.png", "good.png")):
            archive.writestr(name, png(k))
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SuiteError, match=r"link\.png cannot be read"):  # its text is no image, and is not followed
        load_zip("mine.zip")
    after = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
    assert after - before == {Path("mine.zip").resolve()}
    assert not Path("/absolute.png").exists()


def test_a_zip_bomb_is_refused():
    with zipfile.ZipFile("mine.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.png", png(1))
        with archive.open("bomb.png", "w", force_zip64=True) as member:
            for _ in range((LARGEST_FILE >> 24) + 1):
                member.write(bytes(1 << 24))
    with pytest.raises(SuiteError, match=r"bomb\.png would unpack to .* take it out"):
        load_zip("mine.zip")


def test_an_image_bomb_is_refused():
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with zipfile.ZipFile("mine.zip", "w") as archive:
        for name in ("a.png", "b.png"):
            archive.writestr(name, bomb)
    with pytest.raises(SuiteError, match=r"\.png cannot be read \(Image size"):
        load_zip("mine.zip")


def test_a_hostile_archive_in_the_data_root_is_not_unpacked(tmp_path, monkeypatch):
    root = tmp_path / "data"
    root.mkdir()
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name in ("../hacked", str(tmp_path / "absolute")):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo("cifar-10-batches-py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", offline)
    definition = load_file("datasets.yml", Dataset)["cifar10"].model_copy(update={"substitutes": {}})
    with pytest.raises(NotRunError, match="download failed"):
        datasets.load_arrays("cifar10", definition, root)
    assert not (tmp_path / "hacked").exists()
    assert not (tmp_path / "absolute").exists()
    assert not (root / "cifar-10-batches-py").exists()


def offline(*arguments, **options):
    """No test asks the internet for anything."""
    raise OSError("offline")


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "/tmp/x", "..", ".hidden", "-h", "a b", "a;b", "$(a)", "a\nb", "", "é"]
)
def test_a_runs_name_is_safe_in_paths_and_shells(name, capsys):
    import json

    Path("mine.yml").write_text(RUN.format(name=json.dumps(name)))
    assert main(["check", "--profile", "smoke", "--runs", "mine.yml"]) == 2
    error = capsys.readouterr().err
    assert "mine.yml: name" in error
    assert error.count("\n") == 1


def snakemake(*config: str) -> subprocess.CompletedProcess:
    """A real dry run in the current folder, printing every shell command."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n", "-p", "--cores", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*command, "--config", *config], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("key", ["profile", "only", "runs"])
def test_config_values_reach_no_shell(key):
    done = snakemake(f"{key}='; touch hacked; $(touch hacked)'", *(["profile=smoke"] if key != "profile" else []))
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    assert not Path("hacked").exists()


def test_a_runs_file_with_a_hostile_name_is_one_argument():
    name = "x; touch hacked; $(touch hacked) '\".yml"
    Path(name).write_text(RUN.format(name="mine"))
    done = snakemake("profile=smoke", "only=mine", f"runs={name}")
    assert done.returncode == 0, done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "--runs" in line]
    commands = [line[line.index("python -m benchmarks") :] for line in lines]
    assert commands
    assert all(name in shlex.split(line) for line in commands)
    for line in commands:  # by a shell, as Snakemake runs it: that is what is tested
        subprocess.run(line.replace("python -m benchmarks", "true").rpartition(" 2> ")[0], shell=True, check=True)
    assert not Path("hacked").exists()


@pytest.mark.parametrize("value", SHELL)
def test_options_of_commands_are_quoted(value, monkeypatch):
    from benchmarks.plan.suite import Suite

    path = Path("sub") / value.replace("/", "_").replace("\n", "_")
    path.parent.mkdir()
    path.write_text(RUN.format(name="mine"))
    suite = Suite("smoke", path, ["mine"])
    for options in (suite.command_options("mine"), suite.report_options()):
        words = shlex.split(options)
        assert words[words.index("--runs") + 1] == str(path)
