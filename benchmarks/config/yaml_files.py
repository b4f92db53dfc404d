"""YAML mappings of names: safe, no key twice, and errors of one line with file and line number."""

import errno
import re
from pathlib import Path
from typing import Any

import yaml

from benchmarks.errors import SuiteError, first_line, shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # of folders, of HTML anchors, and on command lines
NAMES = "at most 100 letters, digits, '.', '_' and '-', beginning with a letter or a digit"
SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast


def load_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping of names in which no key stands twice; SuiteError with file and line."""
    try:
        loader = SAFE_LOADER(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        refuse_repeated(path, node, set())
        content = None if node is None else loader.construct_document(node)
    except OSError as error:
        raise SuiteError(f"{path}: {'no such file' if error.errno == errno.ENOENT else error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise SuiteError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    except (ValueError, RecursionError) as error:  # a date of month 13, bytes that are no text, a thousand brackets
        raise SuiteError(f"{path}: not valid YAML: {first_line(error)}") from None
    if not isinstance(content, dict):
        raise SuiteError(f"{path}: expected a mapping of names, found {type(content).__name__}")
    for name in content:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise SuiteError(f"{path}: name {shown(name)}: expected {NAMES}; rename it")
    return content


def refuse_repeated(path: Path, node: Any, seen: set[int]) -> None:
    """SuiteError if a mapping has a key twice: YAML would silently take the second."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    pairs = node.value if isinstance(node, yaml.MappingNode) else [(None, value) for value in node.value]
    keys = set()
    for key, value in pairs:
        if isinstance(key, yaml.ScalarNode):
            if key.value in keys:
                raise SuiteError(f"{path}:{key.start_mark.line + 1}: {key.value} is defined twice; rename one")
            keys.add(key.value)
        refuse_repeated(path, value, seen)
