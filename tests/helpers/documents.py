"""What the documents tell people to type, and the same at a size at which a test runs it."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
TREE = ("Snakefile", "environment.yml", "benchmarks", "methods", "workflow", "profiles", "examples")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"`((?:snakemake|python|pip|pytest|docker|conda|snakedeploy|pre-commit|\.ci/run)\b[^`]*)`")


def blocks(path: Path, *languages: str) -> list[str]:
    """The fenced blocks of a Markdown file in these languages, in their order."""
    return [text for language, text in FENCE.findall(path.read_text(encoding="utf-8")) if language in languages]


def commands(path: Path) -> list[str]:
    """Every command line of the blocks in `sh` or in no language, without comments and line continuations."""
    text = "".join(blocks(path, "sh", "")).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def at_smoke(command: str) -> str:
    """The command in profile smoke, whatever profile it names, on two cores."""
    command = command.replace("--cores all", "--cores 2")
    command = re.sub(r"\b(profile[= ]|results/|reports/)(quick-seeds|quick|laptop|paper)\b", r"\1smoke", command)
    if "snakemake" in command and "profile=" not in command:
        at_end = command if "--config" in command else f"{command} --config"
        command = at_end.replace("--config", "--config profile=smoke")
    return re.sub(
        r"(python -m benchmarks (?:(?! --profile)[^&|;])*?)(?=\s*(?:$|[&|;]))", r"\1 --profile smoke", command
    )


def shell(folder, command):
    """Run a command line in `folder` as a user does, with this Python first in the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


def copy_tree(folder):
    """A working copy without results."""
    for name in TREE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def refusal(capsys, *arguments):
    """The one line with which the command ends."""
    assert main([*map(str, arguments), "--profile", "smoke"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def inline(path: Path) -> list[str]:
    """The commands that stand in running text between backticks."""
    return INLINE.findall(FENCE.sub("", path.read_text(encoding="utf-8")))


def is_a_test(name: str) -> bool:
    """Whether `file.function` is a function of a file below tests/."""
    file, function = name.split(".")
    path = next((ROOT / "tests").rglob(f"{file}.py"), None)
    tree = ast.parse(path.read_text(encoding="utf-8")) if path is not None else ast.Module([], [])
    return function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
