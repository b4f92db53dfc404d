"""reports/<profile>/index.html: opens from disk, with everything a reader looks for, and each table by itself."""

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmarks.catalogue import ROOT
from benchmarks.config import load_yaml
from benchmarks.records import read_json
from benchmarks.report import (
    against,
    claims,
    compare,
    correspondence,
    figures,
    intervals,
    pictures,
    ranking,
    runs,
    tables,
    verdicts,
)
from benchmarks.report.claims import Outcome
from benchmarks.report.compare import Cell
from benchmarks.report.frame import load
from benchmarks.report.slugs import slug
from benchmarks.suite import Suite

TEMPLATES = ROOT / "benchmarks" / "templates"
KINDS = {  # verdict -> its class, sign and short word; anything else is what no number was compared for
    "reproduced": ("good", "✓", "reproduced"),
    "close": ("near", "≈", "close"),
    "not reproduced": ("bad", "✗", "not reproduced"),
    "failed": ("bad", "!", "failed"),
    "not run": ("void", "–", "not run"),
    "no verdict": ("open", "○", "no verdict"),
    "no published value": ("plain", "·", "ours only"),
    "cited": ("plain", "”", "cited"),
    "cited, other network": ("plain", "”", "cited, other network"),
    "supported": ("good", "✓", "supported"),
    "contradicted": ("bad", "✗", "contradicted"),
    "undecided": ("open", "○", "undecided"),
    "ok": ("plain", "✓", "trained"),
}
COMPARED = ("reproduced", "close", "not reproduced", "no verdict", "failed", "not run")
DECIDED = ("supported", "contradicted", "undecided")


@dataclass
class Paper:
    """What the page shows of one paper."""

    name: str
    title: str = ""
    source: str = ""
    tables: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    more: Markup = field(default_factory=Markup)
    cells: dict[str, int] = field(default_factory=dict)
    ours_only: int = 0
    claims: dict[str, int] = field(default_factory=dict)


def in_order(counts: dict[str, int], order: tuple[str, ...]) -> dict[str, int]:
    """The counts above zero, in this order."""
    return {word: counts[word] for word in order if counts.get(word)}


def papers(suite: Suite, grids: dict[str, list[list[Cell]]], outcomes: list[Outcome], more: Markup) -> list[Paper]:
    """Tables, figures and claims by paper; a user's own runs come first."""
    known = load_yaml(ROOT / "benchmarks" / "reference" / "papers.yml")
    found: dict[str, Paper] = {}

    def of(name: str) -> Paper:
        return found.setdefault(name, Paper(name, **known.get(name, {})))

    for name in sorted(suite.tables, key=lambda name: name != "own-runs"):
        of(suite.tables[name].paper).tables.append(name)
    for name, figure in suite.figures.items():
        of(figure.paper).figures.append(name)
    for outcome in outcomes:
        of(outcome.claim.paper).outcomes.append(outcome)
    if more:
        of(correspondence.TITLE.partition(",")[0]).more = more
    for paper in found.values():
        cells = [cell for name in paper.tables for line in grids[name] for cell in line if cell.run]
        compared = Counter(cell.verdict for cell in cells if cell.published)
        paper.cells, paper.ours_only = in_order(compared, COMPARED), len(cells) - compared.total()
        paper.claims = in_order({v: sum(o.verdict == v for o in paper.outcomes) for v in DECIDED}, DECIDED)
    return list(found.values())


def corrected(outcomes: list[Outcome]) -> dict[str, float]:
    """Claim -> the smaller of its two p values, corrected within its paper as the verdict is."""
    found: dict[str, float] = {}
    for paper in {outcome.claim.paper for outcome in outcomes}:
        tested = [
            (o.name, min(o.p_for, o.p_against))
            for o in outcomes
            if o.claim.paper == paper and o.p_for is not None and o.p_against is not None
        ]
        found |= dict(zip([name for name, _ in tested], claims.holm([p for _, p in tested]), strict=True))
    return found


def references_section(suite: Suite) -> dict[str, dict[str, float]]:
    """Diagnostics of each reference."""
    found = {}
    for name in suite.problems:
        path = Path("results") / suite.name / "references" / f"{name}.json"
        if path.exists():
            found[name] = {k: v for k, v in read_json(path).items() if k != "code"}
    return found


def minus(text: str) -> str:
    """The text with true minus signs before its digits."""
    return text.replace("-", "−")


def environment() -> Environment:
    """Jinja with the helpers that the templates use; style and script are ours, and stand in the page as they are."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ours": tables.ours, "paper": lambda cell: minus(tables.paper(cell)), "slug": slug,
        "number": lambda value: minus(compare.number(value)),
        "kind": lambda word: KINDS.get(word, ("plain", "·", word)),
        "interval": intervals.of_cell, "effect": intervals.of_outcome,
    }  # fmt: skip
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    made.globals |= {
        "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return made


def facts(frame: pandas.DataFrame) -> dict[str, Any]:
    """How the numbers were made: days, hardware, time; commits and sets of versions, each with its trainings' number.

    `commits` is [(commit, number)], `versions` [({package: version}, number)]; most trainings first.
    """
    trained = runs.trainings(frame)
    if trained.empty:
        return {"versions": [], "commits": [], "started": "", "hardware": [], "seconds": 0.0}
    days = sorted({str(started)[:10] for started in trained.started if started})
    versions = Counter(json.dumps(json.loads(text), sort_keys=True) for text in trained.versions)
    return {
        "versions": [(json.loads(text), number) for text, number in versions.most_common()],
        "commits": Counter(runs.commit_of(row) for row in trained.itertuples()).most_common(),
        "started": " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
        "hardware": sorted({f"{d} {h}".strip() for d, h in zip(trained.device, trained.hardware, strict=True)}),
        "seconds": float(trained.seconds.sum()),
    }


def render(suite: Suite) -> Path:
    """Write tables, figures, claims, pictures and index.html; returns the page's path."""
    folder = Path("reports") / suite.name
    folder.mkdir(parents=True, exist_ok=True)
    frame = load(suite)
    if frame.empty:  # `only` asks for figures that need no run
        frame = frame.reindex(columns=["run", "seed", "metric", "status", "reason", "final", "train_status", "seconds"])
    grids = {n: compare.table_cells(suite, frame, table.copy_of or n, table) for n, table in suite.tables.items()}
    outcomes = claims.decide(suite, frame)
    claim_rows = [{**vars(o), "claim": o.claim.sentence} for o in outcomes]
    pandas.DataFrame(claim_rows).to_csv(folder / "claims.csv", index=False)
    failed = frame.loc[(frame.status == "failed") & frame.final]
    shown = {
        "suite": suite,
        "grids": grids,
        "heads": {n: tables.write(suite, n, suite.tables[n], grid, folder) for n, grid in grids.items()},
        "stand_ins": {name: compare.stand_ins(suite, compare.runs_of(grid)) for name, grid in grids.items()}
        | {name: compare.stand_ins(suite, figure.runs.values()) for name, figure in suite.figures.items()},
        "runs": runs.entries(suite, frame, folder),
        "mixtures": {name: runs.mixtures(frame, grid) for name, grid in grids.items()},
    }
    templates = environment()
    for name in grids:
        page = templates.get_template("table.html").render(name=name, **shown)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    page = templates.get_template("index.html").render(
        **shown,
        drawn={name: figures.draw(suite, name, figure, frame, folder) for name, figure in suite.figures.items()},
        papers=papers(suite, grids, outcomes, correspondence.section(suite, folder)),
        against=against.write(suite, frame, set(suite.from_file), folder),
        against_rule=against.RULE,
        contracts=against.contracts(suite),
        p_values=corrected(outcomes),
        rules={"Verdicts": verdicts.RULE, "Places": ranking.RULE, "Claims": claims.RULE},
        run_verdicts=runs.verdicts(grids),
        cards=runs.cards(suite),
        galleries=pictures.galleries(suite, folder),
        references=references_section(suite),
        failed=[f"{r['run']}, seed {r['seed']}, {r['metric']}: {r['reason']}" for r in failed.to_dict("records")],
        facts=facts(frame),
    )
    target = folder / "index.html"
    target.write_text(page, encoding="utf-8")
    return target
