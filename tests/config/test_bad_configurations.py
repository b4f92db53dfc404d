"""Bad configurations, generated from the schema: each is one line that names file and key, before any job starts."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings

from benchmarks.cli.main import main
from benchmarks.config import models
from tests.helpers.bad_entries import bad_entries

ROOT = Path(__file__).resolve().parents[2]
RUN = {
    "method": "VAE",
    "dataset": "4-point",
    "latent_dim": 2,
    "components": {"encoder": "toy-gaussian-encoder", "decoder": "toy-decoder"},
    "options": {"anneal_steps": 3},
    "train": {
        "steps": 10,
        "batch_size": 8,
        "learning_rate": 0.001,
        "optimiser": "adam",
        "betas": [0.5, 0.999],
        "simultaneous": False,
        "decay_from": 0.5,
    },
    "profiles": {"smoke": {"latent_dim": 2, "seeds": 1, "why": "fast"}},
    "fraction": 0.5,
    "note": "text",
    "deviations": ["none"],
}
# files of the suite, one entry of which is made bad; the model of the entry
ENTRIES = {
    "papers/avb/tables.yml": models.Table,
    "papers/avb/figures.yml": models.Figure,
    "papers/avb/claims.yml": models.Claim,
    "profiles.yml": models.Profile,
    "datasets.yml": models.Dataset,
}
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def one_line(capsys, arguments: list[str]) -> str:
    """The error of a command that must fail with one line."""
    status = main(arguments)
    captured = capsys.readouterr()
    assert status == 2, captured
    assert captured.err.startswith("error: "), captured.err
    assert captured.err.count("\n") == 1, captured.err
    assert len(captured.err) < 4000
    return captured.err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the suite's YAML files, which a test may spoil."""
    for path in (ROOT / "benchmarks").rglob("*.yml"):
        target = tmp_path / path.relative_to(ROOT / "benchmarks")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    return tmp_path


@seed(0)
@SETTINGS
@given(bad=bad_entries(models.Run, RUN))
def test_a_bad_run_is_one_line_with_file_and_key(tmp_path, capsys, bad):
    entry, key = bad
    file = tmp_path / "mine.yml"
    file.write_text(yaml.safe_dump({"mine": entry}))
    error = one_line(capsys, ["check", "--profile", "smoke", "--runs", str(file)])
    assert "mine.yml" in error
    assert "mine" in error
    assert key in error


@pytest.mark.parametrize("name", ENTRIES)
def test_a_bad_entry_of_the_suite_is_one_line_with_file_and_key(folder, capsys, name):
    original = yaml.safe_load((folder / name).read_text())
    first = next(iter(original))

    @seed(0)
    @settings(SETTINGS, max_examples=12)
    @given(bad=bad_entries(ENTRIES[name], original[first]))
    def check(bad):
        entry, key = bad
        (folder / name).write_text(yaml.safe_dump({**original, first: entry}))
        error = one_line(capsys, ["check", "--profile", "smoke"])
        assert name in error
        assert first in error
        assert key in error

    check()


GOOD = yaml.safe_dump({"mine": RUN})
FILES = {
    "a list": "- mine\n",
    "a word": "mine\n",
    "nothing": "",
    "null": "mine: null\n",
    "a number for a name": "5: {}\n",
    "no text": b"\xff\xfe\x00mine",
    "a control character": "mine: \x07\n",
    "a bracket left open": "mine: [1, 2\n",
    "a tab": "mine:\n\tmethod: VAE\n",
    "an unknown alias": "mine: *other\n",
    "an alias of itself": "mine: &a [*a]\n",
    "month 13": "mine: 2020-13-01\n",
    "a huge number": "mine: " + "9" * 5000 + "\n",
    "a thousand brackets": "mine: " + "[" * 3000 + "]" * 3000 + "\n",
    "aliases that multiply": "a: &a [x, x]\n"
    + "".join(
        f"b{k}: &b{k} [*{'a' if k == 0 else f'b{k - 1}'}, *{'a' if k == 0 else f'b{k - 1}'}]\n" for k in range(40)
    ),
    "two documents": GOOD + "---\n" + GOOD,
    "a run twice": GOOD + GOOD,
    "a key twice": GOOD.replace("  method: VAE", "  method: VAE\n  method: AVB"),
    "a nested key twice": GOOD.replace("    steps: 10", "    steps: 10\n    steps: 11"),
    "a run of the suite": GOOD.replace("mine:", "vae-4-point:"),
    "a python object": "mine: !!python/object/apply:os.getcwd []\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_that_is_no_mapping_of_runs(tmp_path, capsys, content):
    file = tmp_path / "mine.yml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "mine.yml" in one_line(capsys, ["check", "--profile", "smoke", "--runs", str(file)])


TRAIN = RUN["train"]
NAMES = {
    "method": {"method": "VEA"},
    "a class that is no method": {"method": "MLP"},
    "a method's file": {"method": "missing.py:Mine"},
    "a folder as a method's file": {"method": f"{ROOT}:Mine"},
    "dataset": {"dataset": "mnits"},
    "no dataset": {"dataset": ""},
    "network": {"components": {"encoder": "zzz", "decoder": "toy-decoder"}},
    "network class": {"components": {"encoder": {"class": "zzz"}, "decoder": "toy-decoder"}},
    "number as class": {"components": {"encoder": {"class": 5}, "decoder": "toy-decoder"}},
    "role": {"components": {"encoder": "toy-gaussian-encoder", "decoder": "toy-decoder", "zzz": "toy-decoder"}},
    "missing role": {"components": {"encoder": "toy-gaussian-encoder"}},
    "wrong kind": {"components": {"encoder": "toy-decoder", "decoder": "toy-decoder"}},
    "option": {"options": {"zzz": 1}},
    "option's type": {"options": {"anneal_steps": [1]}},
    "infinite option": {"options": {"anneal_steps": math.inf}},
    "player": {"train": {**TRAIN, "learning_rate": {"zzz": 0.1}}},
    "budget's profile": {"profiles": {"zzz": {"seeds": 1}}},
    "budget's train": {"profiles": {"smoke": {"train": {"zzz": 1}}}},
    "budget's steps": {"profiles": {"quick": {"train": {"steps": -1}}}},
    "budget's size": {"profiles": {"quick": {"size": "zzz"}}},
    "search": {"search": {"zzz": [1]}},
    "search without validation": {"search": {"anneal_steps": [1, 2]}},
    "validation without a split": {"train": {**TRAIN, "validate_every": 5}},
    "search over nothing": {"search": {"anneal_steps": []}},
}


@pytest.mark.parametrize("changes", NAMES.values(), ids=NAMES)
def test_a_name_or_a_pairing_that_cannot_be(tmp_path, capsys, changes):
    file = tmp_path / "mine.yml"
    file.write_text(yaml.safe_dump({"mine": {**RUN, "profiles": {}, **changes}}))
    error = one_line(capsys, ["check", "--profile", "smoke", "--runs", str(file)])
    assert "mine.yml" in error
    assert "run mine" in error or ": mine" in error


STOPPED = {
    "dataset": "digits",
    "options": {},
    "components": {"encoder": "hu-mnist-encoder", "decoder": "hu-mnist-decoder"},
}
IGNORED = {
    "validation after the end": (
        {"train": {**TRAIN, "validate_every": 11}},
        "run mine: train.validate_every is 11, but steps is 10 in profile quick",
    ),
    "validation after the end, in a profile": (
        {"train": {**TRAIN, "validate_every": 5}, "profiles": {"quick": {"train": {"steps": 4}}}},
        "run mine: train.validate_every is 5, but steps is 4 in profile quick",
    ),
    "search that never looks": (
        {"train": {**TRAIN, "validate_every": 11}, "search": {"anneal_steps": [1, 2]}},
        "expected at most 10, or 0 for never",
    ),
    "patience without validation": (
        {"train": {**TRAIN, "patience": 3}},
        "run mine: train.patience is 3, but validate_every is 0 in profile quick",
    ),
    "patience of a profile without validation": (
        {
            "train": {**TRAIN, "validate_every": 5},
            "profiles": {"quick": {"train": {"validate_every": 0, "patience": 2}}},
        },
        "run mine: train.patience is 2, but validate_every is 0 in profile quick",
    ),
    "Adam's betas elsewhere": (
        {"train": {**TRAIN, "optimiser": "rmsprop"}},
        "run mine: train.betas is [0.5, 0.999], but rmsprop has none",
    ),
    "an option that is searched": (
        {"train": {**TRAIN, "validate_every": 5}, "options": {"anneal_steps": 3}, "search": {"anneal_steps": [1, 2]}},
        "run mine: options.anneal_steps is 3, but search.anneal_steps replaces it by each of [1, 2]",
    ),
}


@pytest.mark.parametrize(("changes", "message"), IGNORED.values(), ids=IGNORED)
def test_a_setting_that_training_would_ignore(tmp_path, capsys, changes, message):
    file = tmp_path / "mine.yml"
    file.write_text(yaml.safe_dump({"mine": {**RUN, **STOPPED, "profiles": {}, **changes}}))
    assert message in one_line(capsys, ["check", "--profile", "quick", "--runs", str(file)])


def test_a_profile_that_turns_validation_off_turns_patience_off(tmp_path):
    file = tmp_path / "mine.yml"
    train = {**TRAIN, "validate_every": 5, "patience": 2}
    profiles = {"quick": {"train": {"validate_every": 0}}}
    file.write_text(yaml.safe_dump({"mine": {**RUN, **STOPPED, "train": train, "profiles": profiles}}))
    assert main(["check", "--profile", "quick", "--runs", str(file)]) == 0


COMMANDS = {
    "profile": ["check", "--profile", "zzz"],
    "only": ["check", "--profile", "smoke", "--only", "zzz"],
    "runs": ["check", "--profile", "smoke", "--runs", "missing.yml"],
    "a folder of runs": ["check", "--profile", "smoke", "--runs", "."],
    "run": ["train", "zzz", "--profile", "smoke"],
    "evaluated run": ["evaluate", "zzz", "--profile", "smoke"],
    "device": ["train", "vae-4-point", "--profile", "smoke", "--device", "zzz"],
    "seed": ["train", "vae-4-point", "--profile", "smoke", "--seed", "-1"],
    "threads": ["train", "vae-4-point", "--profile", "smoke", "--threads", "0"],
    "problem": ["reference", "zzz", "--profile", "smoke"],
    "data": ["data", "zzz"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_bad_command_line(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    one_line(capsys, arguments)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "arguments",
    [["profile=zzz"], ["zzz=1"], ["profile=smoke", "runs=[1, 2]"]],
)
def test_snakemake_itself_ends_with_one_line(arguments, tmp_path):
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "1", "--config", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if line.strip()][-1].startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()
