"""Shell commands that the documents tell people to type."""

import ast
import re
from pathlib import Path

FENCE = re.compile(r"^```(?:sh|bash|)\n(.*?)^```", re.S | re.M)
OTHER = re.compile(r"^```.*?^```", re.S | re.M)
INLINE = re.compile(r"`((?:snakemake|python|pip|pytest|docker|conda|snakedeploy|pre-commit|\.ci/run)\b[^`]*)`")


def commands(path: Path) -> list[str]:
    """The commands of the fenced shell blocks of a Markdown file, one string each (continued lines joined)."""
    blocks = "".join(FENCE.findall(path.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [line.strip() for line in blocks.splitlines() if line.strip() and not line.startswith("#")]


def inline(path: Path) -> list[str]:
    """The commands that stand in running text between backticks."""
    return INLINE.findall(OTHER.sub("", path.read_text(encoding="utf-8")))


def is_a_test(name: str) -> bool:
    """Whether `file.function` is a function of tests/file.py."""
    file, function = name.split(".")
    path = Path(__file__).parent / f"{file}.py"
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    return function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
