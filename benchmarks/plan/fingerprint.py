"""What a result depends on in the source: the definitions that it uses, found without importing them.

A definition is a class, a function or a constant at the top level of a module. It depends on the definitions that it
names, through methods/, benchmarks/data/, benchmarks/posteriors/, benchmarks/metrics/ and a user's own modules. What
only speaks to people is left out: comments, docstrings, annotations, the arguments of `raise`, `print`. Of a dictionary
that is only ever asked for one of its keys (activations, pixel modes, dataset sources), the entries count that the run
names.
"""

import ast
import copy
import hashlib
import symtable
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.config import declarations
from benchmarks.config.declarations import DESCRIPTIVE, ROOT, parse

FOLLOWED = ("methods", "benchmarks.data", "benchmarks.posteriors", "benchmarks.metrics")
# they save and show what is computed, and compute nothing
NOT_FOLLOWED = ("methods.training.atomic_files", "methods.training.checkpoint", "methods.training.progress")
SPOKEN = (*DESCRIPTIVE, "paper", "equations")  # literals of a class that no number depends on
# besides the classes of a run, what every training consists of
TRAINING = (
    "methods.networks.build:build_method",
    "methods.training.minibatches:Images",
    "methods.training.minibatches:Minibatches",
    "methods.training.seeds:seed_of",
    "methods.training.trainer:Trainer",
    "methods.training.trainer:settings_from",
    "benchmarks.jobs.materials:build",
    "benchmarks.jobs.search:minibatches_seed",
    "benchmarks.jobs.search:noise_seed",
)
DATA = (
    "benchmarks.data.datasets:load",
    "benchmarks.jobs.materials:training_part",
    "benchmarks.jobs.materials:validation",
)
PROBLEMS = ("benchmarks.posteriors:problem_named",)
SEARCHES = ("benchmarks.jobs.search:candidates", "benchmarks.jobs.search:lowest")
EVALUATION = (
    "benchmarks.jobs.evaluate:evaluation_seed",
    "benchmarks.jobs.evaluate:samples_seed",
    "benchmarks.metrics.trained:Trained",
)


@dataclass(frozen=True)
class Target:
    """A name at the top level of a module."""

    path: Path
    name: str


@dataclass(frozen=True)
class Imported:
    """A local name that stands for a module of the project, or for a name of one; or for another package's."""

    path: Path | None
    name: str  # empty: the module itself; of another package, its full name


class Spoken(ast.NodeTransformer):
    """Leaves out what only speaks to people; without `prose` also texts of several words, which no training reads."""

    def __init__(self, prose: bool):
        self.prose = prose

    def body(self, node: ast.AST) -> None:
        first = node.body[0] if node.body else None  # type: ignore[attr-defined]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]  # type: ignore[attr-defined]
        node.body = node.body or [ast.Pass()]  # type: ignore[attr-defined]

    def visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        self.body(node)
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_function

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.body(node)
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.body(node)
        node.body = [part for part in node.body if not set(bound(part)) & set(SPOKEN)] or [ast.Pass()]
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        node.exc = node.cause = None
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if not self.prose and isinstance(node.value, str) and " " in node.value else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        written = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        return ast.Constant("") if not self.prose and " " in written else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print":
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.Pass()


def bound(statement: ast.stmt) -> list[str]:
    """The names that a statement gives to the scope in which it stands."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return []
    return [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


@cache
def definitions(path: Path) -> dict[str, list[ast.stmt]]:
    """Name -> the top-level statements of a file that give it a value, or change it by an index."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in parse(path).body:
        for name in dict.fromkeys(bound(statement)):
            found.setdefault(name, []).append(statement)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        for target in targets:  # TABLE[key] = value
            if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                found.setdefault(target.value.id, []).append(statement)
    return found


def module_file(name: str, beside: Path) -> Path | None:
    """The file of a module of the project, or of one that lies beside a user's file; None of another package."""
    inside = beside.is_relative_to(ROOT / "methods") or beside.is_relative_to(ROOT / "benchmarks")
    for folder in (ROOT,) if inside else (beside.parent, ROOT):
        file = folder / (name.replace(".", "/") + ".py")
        package = folder / name.replace(".", "/") / "__init__.py"
        for path in (file, package):
            if path.exists() and (folder != ROOT or name.split(".")[0] in ("methods", "benchmarks")):
                return path
    return None


def imports_in(nodes: Iterable[ast.AST], beside: Path) -> dict[str, Imported]:
    """Local name -> what it stands for, of the import statements among these nodes."""
    found: dict[str, Imported] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                file = module_file(alias.name if alias.asname else local, beside)
                found[local] = Imported(file, "" if file else (alias.name if alias.asname else local))
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for alias in node.names:
                inner = module_file(f"{module}.{alias.name}".strip("."), beside)
                file = module_file(module, beside) if module else None
                local = alias.asname or alias.name
                if inner is not None:
                    found[local] = Imported(inner, "")
                else:
                    found[local] = Imported(file, alias.name if file else f"{module}.{alias.name}")
    return found


@cache
def imports(path: Path) -> dict[str, Imported]:
    """The imports at the top level of a file, also under `if` and `try`."""
    nodes: list[ast.AST] = []
    waiting: list[ast.AST] = list(parse(path).body)
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if isinstance(node, ast.If | ast.Try):
            waiting.extend(ast.iter_child_nodes(node))
    return imports_in(nodes, path)


def used_names(nodes: Iterable[ast.stmt]) -> set[str]:
    """The names that statements take from the module around them."""
    text = "\n".join(ast.unparse(ast.fix_missing_locations(node)) for node in nodes)
    found: set[str] = set()

    def visit(table: symtable.SymbolTable, top: bool) -> None:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or top):
                found.add(symbol.get_name())
        for inner in table.get_children():
            visit(inner, False)

    visit(symtable.symtable(text, "definition", "exec"), True)
    return found


def attributes_of(nodes: Iterable[ast.AST], name: str) -> set[str] | None:
    """What statements take from the module `name`; None where they pass it on as a whole."""
    every = [node for outer in nodes for node in ast.walk(outer)]
    taken = [n for n in every if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == name]
    times = sum(isinstance(node, ast.Name) and node.id == name for node in every)
    return {node.attr for node in taken} if times == len(taken) else None


def entries(statement: ast.stmt) -> dict[str, ast.expr]:
    """Key -> value of a constant that is a dictionary with texts as keys; empty of anything else."""
    value = getattr(statement, "value", None)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or not isinstance(value, ast.Dict):
        return {}
    keys = [key.value for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    return dict(zip(keys, value.values, strict=True)) if len(keys) == len(value.values) else {}


def looked_up(nodes: Iterable[ast.stmt], name: str) -> bool:
    """Whether statements only ask the dictionary `name` for a key, or whether it has one."""
    every = [node for outer in nodes for node in ast.walk(outer)]
    asked = [n.value for n in every if isinstance(n, ast.Subscript)]
    asked += [
        n.comparators[0] for n in every if isinstance(n, ast.Compare) and isinstance(n.ops[0], ast.In | ast.NotIn)
    ]
    times = sum(isinstance(node, ast.Name) and node.id == name for node in every)
    return times == sum(isinstance(node, ast.Name) and node.id == name for node in asked)


def texts_in(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The texts in statements that may be passed on as a key: not those compared with, nor keys of dictionaries."""
    found: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.Dict):
            waiting.extend(node.values)
        elif not isinstance(node, ast.Compare):
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(found)


def followed(path: Path) -> bool:
    """Whether the definitions of a file count."""
    if not path.is_relative_to(ROOT / "methods") and not path.is_relative_to(ROOT / "benchmarks"):
        return True  # a user's own
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts).removesuffix(".__init__")
    if module in NOT_FOLLOWED:
        return False
    return any(f"{module}.".startswith(f"{folder}.") for folder in FOLLOWED)


@cache
def plain(path: Path, name: str, prose: bool) -> tuple[ast.stmt, ...]:
    """The statements that define a name, without what only speaks to people."""
    return tuple(Spoken(prose).visit(copy.deepcopy(node)) for node in definitions(path).get(name, ()))


def names_in(path: Path, nodes: Collection[ast.stmt], original: Collection[ast.AST]) -> tuple[set[Target], set[str]]:
    """(definitions of the project that statements of a file name, what they take from other packages)."""
    inner = imports_in((node for outer in original for node in ast.walk(outer)), path)
    known = {**imports(path), **inner}
    targets, others = set(), set()
    for name in used_names(nodes):
        if name in known:
            found = known[name]
            if found.path is None:
                others.add(f"{name} = {found.name}")
            elif found.name:
                targets.add(Target(found.path, found.name))
            else:
                attributes = attributes_of(nodes, name)
                every = definitions(found.path) if attributes is None else attributes
                targets |= {Target(found.path, attribute) for attribute in every}
        elif name in definitions(path):
            targets.add(Target(path, name))
    return targets, others


def resolved(target: Target) -> Target | None:
    """The definition behind a name that a module may have imported itself; None of another package's."""
    seen: set[Target] = set()
    while target not in seen:
        seen.add(target)
        if target.name in definitions(target.path):
            return target
        found = imports(target.path).get(target.name)
        if found is None or found.path is None or not found.name:
            return None
        target = Target(found.path, found.name)
    return None


def target_of(text: str) -> Target:
    """The definition `module:name`, or `file.py:name`."""
    module, name = text.rsplit(":", 1)
    if module.endswith(".py"):
        return Target(Path(module), name)
    folder = ROOT / module.replace(".", "/")
    return Target(folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py"), name)


@dataclass(frozen=True)
class Definition:
    """A definition, or some entries of one: hash of its code, and the definitions behind the names that it uses.

    `uses`: definition -> whether it is only asked for a key. `words`: texts that it may ask with, such as defaults.
    """

    digest: str
    uses: dict[Target, bool]
    words: frozenset[str]


@cache
def analysed(target: Target, keys: frozenset[str], prose: bool) -> Definition:
    """The definition, or of a dictionary these entries."""
    nodes, original = plain(target.path, target.name, prose), definitions(target.path)[target.name]
    text = ast.dump(ast.Module([*nodes], []))
    if keys:
        chosen = {key: value for key, value in sorted(entries(nodes[0]).items()) if key in keys}
        nodes = tuple(ast.Expr(copy.deepcopy(value)) for value in chosen.values())
        text = ", ".join(f"{key}: {ast.dump(value)}" for key, value in chosen.items())
    used, others = names_in(target.path, nodes, original)
    uses: dict[Target, bool] = {}
    for other in used:
        behind = resolved(other)
        near = behind is not None and behind.path == target.path
        if behind is not None and behind != target and (near or followed(behind.path)):
            uses[behind] = uses.get(behind, True) and looked_up(nodes, other.name)
    digest = hashlib.sha256("\n".join([text, *sorted(others)]).encode()).hexdigest()[:8]
    return Definition(digest, uses, texts_in(nodes))


def keys_among(target: Target, words: frozenset[str]) -> frozenset[str]:
    """The keys of a dictionary that are among the words; none if the definition is something else."""
    statements = definitions(target.path)[target.name]
    return frozenset(words & entries(statements[0]).keys()) if len(statements) == 1 else frozenset()


def fingerprint(targets: Iterable[str], words: Collection[str] = (), prose: bool = False) -> dict[str, str]:
    """Name -> hash of 8 digits of every definition that the targets (`module:name`) use, themselves included.

    `words`: texts of the run's specification and of its dataset's definition; of a dictionary that is only asked for
    a key, the entries count whose keys are among them or among the texts of the definitions (defaults, for instance),
    and all if none is. `prose`: texts of several words count, as
    they do where they name what is written to a result.
    """
    return _fingerprint(frozenset(targets), frozenset(words), prose)


@cache
def _fingerprint(targets: frozenset[str], words: frozenset[str], prose: bool) -> dict[str, str]:
    found: dict[Target, tuple[str, frozenset[str]]] = {}  # digest, keys that count (none: all)
    said: set[str] = set()
    waiting: list[tuple[Target, bool]] = [(target_of(text), False) for text in targets]
    while waiting:
        named, by_key = waiting.pop()
        target = resolved(named)
        if target is None:
            continue
        keys = keys_among(target, words) if by_key else frozenset()
        if target in found and (found[target][1] == keys or not found[target][1]):
            continue  # as it is, or already as a whole
        definition = analysed(target, keys, prose)
        found[target] = definition.digest, keys
        said |= definition.words
        waiting.extend(definition.uses.items())
    if not said <= words:
        return _fingerprint(targets, words | said, prose)
    return dict(sorted(numbered({target: digest for target, (digest, _) in found.items()}).items()))


def numbered(found: dict[Target, str]) -> dict[str, str]:
    """Names of the definitions; where several files have one of the same name, with the file's."""
    times: dict[str, int] = {}
    for target in found:
        times[target.name] = times.get(target.name, 0) + 1
    return {
        target.name if times[target.name] == 1 else f"{target.path.stem}.{target.name}": digest
        for target, digest in found.items()
    }


@cache
def hash_of_file(path: Path) -> str:
    """Hash of a whole module but for comments, docstrings and messages."""
    tree = Spoken(prose=True).visit(copy.deepcopy(parse(path)))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def forget() -> None:
    """Read every file again: for who edits them in one process."""
    declarations.forget()
    for cached in (definitions, imports, plain, analysed, _fingerprint, hash_of_file):
        cached.cache_clear()
