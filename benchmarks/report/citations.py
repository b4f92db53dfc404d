"""BibTeX of what a run, a table or the whole suite uses, from benchmarks/citations.bib and CITATION.cff."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.config.declarations import ROOT
from benchmarks.config.models import FOLDER, load_yaml
from benchmarks.errors import unknown
from benchmarks.plan.suite import Suite

OWN_FIELD = re.compile(r"^  vgbench = \{([^}]*)\},\n", re.M)


@dataclass(frozen=True)
class Entry:
    """A BibTeX entry as it is printed, and the names of what it belongs to."""

    key: str
    text: str
    names: frozenset[str]


@cache
def entries() -> list[Entry]:
    """The entries of the file, in its order."""
    content = (FOLDER / "citations.bib").read_text(encoding="utf-8")
    found = []
    for text in re.split(r"^(?=@)", content, flags=re.M)[1:]:
        key = text[text.index("{") + 1 : text.index(",")]
        names = " ".join(OWN_FIELD.findall(text)).split()
        found.append(Entry(key, OWN_FIELD.sub("", text).strip(), frozenset(names)))
    return found


def classes(part: dict[str, Any]) -> Iterator[str]:
    """Names of all network classes of a resolved component."""
    yield part["class"].rsplit(":", 1)[1]
    for inner in part.values():
        if isinstance(inner, dict):
            yield from classes(inner)


def used_by(suite: Suite, run: str, metrics: Iterable[str]) -> set[str]:
    """The run's name, and its method, networks, dataset and metrics."""
    found = {run, suite.method_of(run).name, suite.dataset_of(run)[0], suite.run(run).dataset, *metrics}
    for part in suite.components(run).values():
        found.update(classes(part))
    return found


def used(suite: Suite, names: Iterable[str]) -> set[str]:
    """What these runs and tables use, or the whole suite where none is named; SuiteError for an unknown name."""
    chosen, found = list(names), set()
    tables = suite.tables if not chosen else {n: suite.tables[n] for n in chosen if n in suite.tables}
    for name in chosen:
        if name not in suite.runs and name not in suite.tables:
            raise unknown("command line", "run or table", name, {**suite.runs, **suite.tables})
        if name in suite.runs:
            found |= used_by(suite, name, suite.wanted.get(name, ()))
    for table in tables.values():
        found.add(table.paper.split(" ")[0])
        for _, _, run, metric in suite.cells(table):
            found |= used_by(suite, run, [metric])
    return found


def suite_entry() -> str:
    """BibTeX of the suite itself."""
    cff = load_yaml(ROOT / "CITATION.cff")
    authors = " and ".join(a.get("name") or f"{a['family-names']}, {a['given-names']}" for a in cff["authors"])
    fields = {"title": cff["title"], "author": f"{{{authors}}}", "version": str(cff["version"])}
    fields |= {"year": str(cff["date-released"])[:4]} if "date-released" in cff else {}
    fields |= {"doi": cff["doi"]} if "doi" in cff else {}
    fields |= {"url": cff["repository-code"]} if "repository-code" in cff else {}
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items()]
    return "\n".join(["@software{vgbench,", *lines, "}"])


def bibtex(suite: Suite, names: Iterable[str]) -> str:
    """The suite's entry, then those of what `names` use."""
    found = used(suite, names)
    return "\n\n".join([suite_entry(), *(entry.text for entry in entries() if entry.names & found)])
