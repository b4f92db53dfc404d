"""What the source files declare, read with `ast` and never imported: signatures, literals, imports.

The Snakefile is parsed at every call and in each cluster job, so nothing here may import torch.
"""

import ast
import errno
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from benchmarks.errors import SuiteError, shown, unknown

ROOT = Path(__file__).resolve().parents[2]
FROM_DATA = ("x_shape", "latent_dim", "in_shape")
DESCRIPTIVE = ("correspondence", "relations")  # say to people what a class is: not inherited, and they change no run
PLAIN_TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list[int]": list[int],
    "list[int] | None": list[int] | None,
    "int | None": int | None,
    "float | None": float | None,
}


@dataclass(frozen=True)
class Parameter:
    """One constructor or function parameter."""

    annotation: str
    required: bool
    default: Any = None

    @property
    def plain(self) -> bool:
        """Whether YAML can give it as a number, text or list (else it is a component)."""
        return self.annotation in PLAIN_TYPES or self.annotation.startswith("Literal[")


@dataclass(frozen=True)
class Declared:
    """A class or a metric file, as its source declares it."""

    name: str
    path: Path
    target: str
    parameters: dict[str, Parameter]
    literals: dict[str, Any]

    def provides(self) -> tuple[str, ...]:
        """The literal `provides`."""
        return tuple(self.literals.get("provides", ()))


def _parameters(function: ast.FunctionDef, skip: int = 1) -> dict[str, Parameter]:
    arguments = function.args.args[skip:]
    defaults = [None] * (len(arguments) - len(function.args.defaults)) + list(function.args.defaults)
    found = list(zip(arguments, defaults, strict=True))
    found += list(zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True))
    return {
        a.arg: Parameter(ast.unparse(a.annotation) if a.annotation else "", default is None, _literal(default))
        for a, default in found
    }


def _literal(node: ast.expr | None) -> Any:
    """The value of a literal expression; None of any other, and where there is none."""
    with suppress(ValueError):
        return None if node is None else ast.literal_eval(node)
    return None


def _literals(body: list[ast.stmt]) -> dict[str, Any]:
    found = {}
    for node in body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        with suppress(ValueError):
            if isinstance(target, ast.Name):
                found[target.id] = ast.literal_eval(value)
    return found


def constants(path: Path) -> dict[str, Any]:
    """The literals that a file assigns at its top level."""
    return _literals(parse(path).body)


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file; SuiteError if it is missing or no Python."""
    try:
        return ast.parse(source(path))
    except OSError as error:
        raise SuiteError(f"{path}: {'no such file' if error.errno == errno.ENOENT else error.strerror}") from None
    except SyntaxError as error:
        raise SuiteError(f"{path}:{error.lineno}: not valid Python: {error.msg}") from None
    except ValueError as error:
        raise SuiteError(f"{path}: not valid Python: {error}") from None


def _declared(path: Path, module: str, known: dict[str, Declared]) -> dict[str, Declared]:
    """The classes of one file; parameters and literals are inherited from `known` ones and from each other."""
    found: dict[str, Declared] = {}
    for node in (n for n in parse(path).body if isinstance(n, ast.ClassDef)):
        init = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        every = {**known, **found}
        parents = [every[b.id] for b in node.bases if isinstance(b, ast.Name) and b.id in every]
        inherited = {k: v for p in parents for k, v in p.literals.items() if k not in DESCRIPTIVE}
        literals = inherited | _literals(node.body)
        parameters = _parameters(init[0]) if init else (parents[0].parameters if parents else {})
        found[node.name] = Declared(node.name, path, f"{module}:{node.name}", parameters, literals)
    return found


@cache
def _library() -> dict[str, Declared]:
    """The classes of methods/, those of method.py first, as the others inherit from them."""
    found: dict[str, Declared] = {}
    for path in sorted((ROOT / "methods").rglob("*.py"), key=lambda p: (p.name != "method.py", p.name)):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found.update(_declared(path, module, found))
    return found


def component_class(where: str, name: str) -> Declared:
    """The network or method class called `name`, or `file.py:Class` in a user's own file."""
    if not isinstance(name, str):
        raise SuiteError(f"{where}: {shown(name)} is no name of a class")
    if ":" in name:
        file, class_name = name.rsplit(":", 1)
        path = Path(file).resolve()
        try:
            classes = _declared(path, str(path), _library())
        except SuiteError as error:
            raise SuiteError(f"{where}: {error}") from None
        if class_name not in classes:
            raise unknown(f"{where}: {file}", "class", class_name, classes)
        return classes[class_name]
    if name not in _library():
        raise unknown(where, "class", name, (n for n, d in _library().items() if not n.startswith("_")))
    return _library()[name]


def methods() -> dict[str, Declared]:
    """Every trainable method of the suite by name."""
    return {n: d for n, d in _library().items() if "paper" in d.literals}


def classes() -> dict[str, Declared]:
    """Every class of methods/ by name."""
    return dict(_library())


@cache
def metrics() -> dict[str, Declared]:
    """Every metric: a file in benchmarks/metrics with a function `evaluate`."""
    found = {}
    for path in sorted((ROOT / "benchmarks" / "metrics").glob("*.py")):
        functions = {n.name: n for n in parse(path).body if isinstance(n, ast.FunctionDef)}
        if "evaluate" in functions:
            literals = {k.lower(): v for k, v in constants(path).items()}
            target = f"benchmarks.metrics.{path.stem}:evaluate"
            found[path.stem] = Declared(path.stem, path, target, _parameters(functions["evaluate"]), literals)
    return found


@cache
def _accepted(annotation: str) -> TypeAdapter[Any]:
    """What checks a value against the annotation of a plain parameter."""
    if annotation.startswith("Literal["):
        return TypeAdapter(Literal[tuple(ast.literal_eval(f"({annotation[8:-1]},)"))])  # type: ignore[valid-type]
    return TypeAdapter(PLAIN_TYPES[annotation])


def check_options(where: str, declared: Declared, options: dict[str, Any]) -> None:
    """SuiteError unless each option is a parameter of the right type and no required one is missing."""
    plain = {n: p for n, p in declared.parameters.items() if p.plain and n not in FROM_DATA}
    for name, value in options.items():
        if name not in plain:
            raise unknown(where, f"option of {declared.name}", name, plain)
        annotation = plain[name].annotation
        try:
            _accepted(annotation).validate_python(value, strict=annotation != "float")
        except ValidationError:
            raise SuiteError(f"{where}: option {name} of {declared.name} is {value!r}; expected {annotation}") from None
    for name, parameter in plain.items():
        if parameter.required and name not in options:
            raise SuiteError(f"{where}: option {name} of {declared.name} is missing; expected {parameter.annotation}")


def source(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def forget() -> None:
    """Read every file again: for who edits them in one process."""
    for cached in (parse, _library, metrics):
        cached.cache_clear()
