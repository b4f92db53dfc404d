"""Each folder imports only those above it in ROOMS, and no modules import each other in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (  # from the lowest, which imports nothing else of the project
    "methods.terms",
    "methods.training.game",
    "methods.method",
    "methods.training",
    "methods.networks",
    "methods",
    "benchmarks.errors",
    "benchmarks.config",
    "benchmarks.store",
    "benchmarks.hardware",
    "benchmarks.plan",
    "benchmarks.data",
    "benchmarks.posteriors",
    "benchmarks.metrics.trained",
    "benchmarks.metrics.estimators",
    "benchmarks.metrics",
    "benchmarks.jobs",
    "benchmarks.statistics",
    "benchmarks.report",
    "benchmarks.cli",
    "benchmarks.__main__",
    "benchmarks.speed",
)


def modules() -> dict[str, Path]:
    """Dotted name -> file of every module of the project."""
    files = [path for top in ("methods", "benchmarks") for path in (ROOT / top).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The project's modules that a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known.keys()


def room(module: str) -> int:
    """Place in ROOMS of the longest entry that the module is in."""
    inside = [name for name in ROOMS if f"{module}.".startswith(f"{name}.")]
    return ROOMS.index(max(inside, key=len)) if inside else -1


KNOWN = modules()
GRAPH = {module: imports(path, KNOWN) for module, path in KNOWN.items()}


def test_imports_go_down_only():
    upward = [(one, other) for one, others in GRAPH.items() for other in others if room(other) > room(one)]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle():
    assert len([*TopologicalSorter(GRAPH).static_order()]) == len(KNOWN)  # CycleError names a circle


def test_every_module_has_a_room():
    assert [module for module in KNOWN if module != "benchmarks" and room(module) < 0] == []


def test_no_import_of_the_project_hides_behind_type_checking():
    hidden = [
        path.name
        for path in KNOWN.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith(("benchmarks", "methods"))
    ]
    assert hidden == []
