"""What methods say of themselves, read from their files without importing torch; `python -m benchmarks list`."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.config import declarations, user_runs
from benchmarks.config.declarations import ROOT, Declared
from benchmarks.config.models import Run, of_papers
from benchmarks.errors import SuiteError, unknown

BEGIN = "<!-- systems: python -m benchmarks list --markdown -->"
END = "<!-- end of systems -->"
FIELDS = {  # keys of the literal `correspondence` -> components of Unifying's table 1; `name` may stand beside them
    "x": "x",
    "y": "y",
    "z": "z",
    "p(x|y)": "p_theta(x|y)",
    "q(y|x)": "q_phi(y|x)",
    "q(z|x,y)": "q_eta(z|x,y)",
    "minimises": "KLD to minimise",
}
RELATIONS = {  # values of the literal `relations` -> words (Unifying, sections 3.1 to 4.2)
    "extends": "extends",
    "specialises": "is a special case of",
    "swaps": "is the mirror image of",
    "weights": "weights the samples of",
    "combines": "combines",
}


def known(runs: Mapping[str, Run] | None = None) -> dict[str, Declared]:
    """The methods of the registry, and those of `runs` that lie in files of a user's own, by name."""
    found = dict(declarations.methods())
    for name, run in (runs or {}).items():
        if ":" in run.method:
            declared = declarations.component_class(f"run {name}: method", run.method)
            found.setdefault(declared.name, declared)
    return found


def described(literal: str, runs: Mapping[str, Run]) -> dict[str, Declared]:
    """The classes of methods/ and the methods of these runs that declare one of DESCRIPTIVE; SuiteError if wrongly."""
    every = declarations.classes() | known(runs)
    found = {name: declared for name, declared in every.items() if declared.literals.get(literal)}
    for name, declared in found.items():
        where, content = f"{declared.path.name}: {name}.{literal}", declared.literals[literal]
        if not isinstance(content, dict):
            raise SuiteError(f"{where}: expected a mapping, found {content!r}")
        if literal == "relations":
            for other, kind in content.items():
                if other not in every:
                    raise unknown(where, "class", other, known(runs))
                if kind not in RELATIONS:
                    raise unknown(where, "relation", kind, RELATIONS)
            continue
        for key in content:
            if key not in FIELDS and key != "name":
                raise unknown(where, "key", key, ["name", *FIELDS])
        missing = [key for key in FIELDS if key not in content]
        if missing:
            raise SuiteError(f"{where}: {', '.join(missing)} missing; a dash says that there is none")
    return found


def descriptions(runs: Mapping[str, Run]) -> str:
    """All that `described` finds, as one text: what the report depends on, and what must be right before it is made."""
    return repr(
        {lit: {n: d.literals[lit] for n, d in described(lit, runs).items()} for lit in declarations.DESCRIPTIVE}
    )


def first_line(path: Path, name: str | None = None) -> str:
    """The first line of the docstring of a file, or of its class `name`, without the full stop."""
    tree = declarations.parse(path)
    nodes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name] if name else [tree]
    text = next((ast.get_docstring(node) for node in nodes), None)
    return (text or "").partition("\n")[0].removesuffix(".")


def place(path: Path) -> str:
    """The path, from the repository's root where it is inside."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def by_file(methods: Iterable[Declared]) -> dict[Path, list[Declared]]:
    """Files in the order of their names, each with its methods in the order of their definition."""
    found: dict[Path, list[Declared]] = {}
    for declared in methods:
        found.setdefault(declared.path, []).append(declared)
    return dict(sorted(found.items()))


def text(methods: Mapping[str, Declared]) -> str:
    """For a terminal: a paragraph for each method."""
    lines = []
    for path, group in by_file(methods.values()).items():
        for declared in group:
            says = declared.literals
            provided = [*declared.provides(), *(f"what its {part} does" for part in says.get("wraps", ()))]
            lines += [
                f"{declared.name}  ({place(path)})",
                f"  {first_line(path, declared.name) or first_line(path)}",
                f"  paper: {says.get('paper', '?')}; equations: {says.get('equations', '?')}",
                f"  players: {', '.join(says.get('player_names', ()))}",
                f"  provides: {', '.join(provided)}",
                "",
            ]
    return "\n".join([*lines, f"{len(methods)} methods"])


def markdown(methods: Mapping[str, Declared]) -> str:
    """The README's table: a line for each file."""
    lines = ["| method | what it is | paper | file |", "|---|---|---|---|"]
    for path, group in by_file(methods.values()).items():
        names = ", ".join(f"`{declared.name}`" for declared in group)
        papers = [paper for declared in group for paper in str(declared.literals.get("paper", "?")).split("; ")]
        cells = (names, first_line(path), "; ".join(dict.fromkeys(papers)), f"[{path.name}]({place(path)})")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def metrics_markdown() -> str:
    """The table of docs/protocols.md: a line for each metric, from its file."""
    lines = ["| metric | what it is | kind | unit | better | known bias | standard error |", "|---" * 7 + "|"]
    for name, declared in declarations.metrics().items():
        says = declared.literals
        error = says.get("error") or f"none: {says['no_error']}"
        details = (says["kind"], says["unit"], says["better"], says.get("bias", "writes a file"), error)
        cells = (f"`{name}`", first_line(declared.path), *details)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def listing(as_markdown: bool = False, extra_runs: Path | None = None) -> str:
    """The registry, with the methods that a runs file names."""
    methods = known(user_runs.load(extra_runs, of_papers("runs", Run)) if extra_runs else None)
    return markdown(methods) if as_markdown else text(methods)


def in_readme() -> str:
    """What stands in README.md between the two markers."""
    return (ROOT / "README.md").read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
