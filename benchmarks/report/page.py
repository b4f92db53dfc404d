"""reports/<profile>/index.html: opens from disk, with everything a reader looks for, and each table by itself."""

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmarks.config.declarations import ROOT
from benchmarks.config.models import load_yaml
from benchmarks.jobs.collect import load
from benchmarks.plan import rendered
from benchmarks.plan.rendered import Rendered
from benchmarks.plan.suite import Suite
from benchmarks.report import (
    against,
    compare,
    correspondence,
    figures,
    intervals,
    pictures,
    runs,
    tables,
)
from benchmarks.report.compare import Cell
from benchmarks.report.faults import Faults, staged
from benchmarks.report.slugs import slug
from benchmarks.statistics import claims, power, rankings, verdicts
from benchmarks.statistics.claims import Outcome
from benchmarks.statistics.setting import stand_ins
from benchmarks.store.records import Reference, read, write

TEMPLATES = Path(__file__).parent / "templates"
KINDS = {  # verdict -> its class, sign and short word; anything else is what no number was compared for
    "reproduced": ("good", "✓", "reproduced"),
    "close": ("near", "≈", "close"),
    "not reproduced": ("bad", "✗", "not reproduced"),
    "imprecise": ("open", "±", "imprecise"),
    "failed": ("bad", "!", "failed"),
    "not run": ("void", "–", "not run"),
    "no verdict": ("open", "○", "no verdict"),
    "no published value": ("plain", "·", "ours only"),
    "cited": ("plain", "”", "cited"),
    "cited, other network": ("plain", "”", "cited, other network"),
    "supported": ("good", "✓", "supported"),
    "contradicted": ("bad", "✗", "contradicted"),
    "undecided": ("open", "○", "undecided"),
    "untested": ("void", "–", "not tested"),
    "ok": ("plain", "✓", "trained"),
}
COMPARED = (*verdicts.VERDICTS, "failed", "not run")
DECIDED = ("supported", "contradicted", "undecided", "failed")
NO_FACTS: dict[str, Any] = {"versions": [], "commits": [], "started": "", "hardware": [], "seconds": 0.0}


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
    claims: dict[str, int] = field(default_factory=dict)  # on the paper's data, networks and steps
    claims_elsewhere: dict[str, int] = field(default_factory=dict)  # on stand-ins, smaller networks or fewer steps
    untested: int = 0


def in_order(counts: dict[str, int], order: tuple[str, ...]) -> dict[str, int]:
    """The counts above zero, in this order."""
    return {word: counts[word] for word in order if counts.get(word)}


def papers(suite: Suite, grids: dict[str, list[list[Cell]]], outcomes: list[Outcome], more: Markup) -> list[Paper]:
    """Tables, figures and claims by paper; a user's own runs come first."""
    known = load_yaml(ROOT / "benchmarks" / "papers" / "papers.yml")
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
        cells = [cell for name in paper.tables for line in grids.get(name, []) for cell in line if cell.run]
        compared = Counter(cell.verdict for cell in cells if cell.published)
        paper.cells, paper.ours_only = in_order(compared, COMPARED), len(cells) - compared.total()
        paper.claims = in_order(Counter(o.verdict for o in paper.outcomes if not o.where), DECIDED)
        paper.claims_elsewhere = in_order(Counter(o.verdict for o in paper.outcomes if o.where), DECIDED)
        paper.untested = sum(o.verdict == "untested" for o in paper.outcomes)
    return list(found.values())


def outcomes_of(suite: Suite, frame: pandas.DataFrame, faults: Faults) -> list[Outcome]:
    """Every claim with its verdict; one that raises is `failed`, and stops no other."""
    found = []
    for name, claim in suite.claims.items():
        part = f"claim {name}"
        failed = Outcome(name, claim, verdict="failed")
        outcome = faults.attempt(part, partial(claims.measure, name, claim, frame), failed)
        outcome.reason = faults.found.get(part, outcome.reason)
        found.append(outcome)
    return claims.decide(suite, found)


def claim_row(outcome: Outcome, of: power.Power | None) -> dict[str, Any]:
    """A claim's row in claims.csv."""
    said = {"claim": outcome.claim.sentence, "family": outcome.claim.family, "source": outcome.claim.source}
    lists = {name: "; ".join(getattr(outcome, name)) for name in ("beside", "setting")}
    found = {} if of is None else {"paper_effect": of.effect, "power": of.power, "seeds_wanted": of.wanted}
    return {**vars(outcome), **said, **lists, **found}


def references_section(suite: Suite) -> dict[str, Reference]:
    """The record of each reference that is there."""
    folder = Path("results") / suite.name / "references"
    paths = {name: folder / f"{name}.json" for name in suite.problems}
    return {name: read(path, Reference) for name, path in paths.items() if path.exists()}


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
        "difference": against.interval, "interval": intervals.of_cell, "effect": intervals.of_outcome,
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
        return NO_FACTS
    days = sorted({str(started)[:10] for started in trained.started if started})
    versions = Counter(json.dumps(json.loads(text), sort_keys=True) for text in trained.versions)
    return {
        "versions": [(json.loads(text), number) for text, number in versions.most_common()],
        "commits": Counter(runs.commit_of(row) for row in trained.itertuples()).most_common(),
        "started": " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
        "hardware": sorted({f"{d} {h}".strip() for d, h in zip(trained.device, trained.hardware, strict=True)}),
        "seconds": float(trained.seconds.sum()),
    }


def table_of(suite: Suite, name: str, frame: pandas.DataFrame, folder: Path) -> dict[str, Any]:
    """What the page shows of one table: `grid`, `head`, `stand_ins`, `mixtures`; writes it as .md, .tex and .csv."""
    table = suite.tables[name]
    grid = compare.table_cells(suite, frame, table.copy_of or name, table)
    return {
        "grid": grid,
        "head": tables.write(suite, name, table, grid, folder),
        "stand_ins": stand_ins(suite, compare.runs_of(grid)),
        "mixtures": runs.mixtures(frame, grid),
    }


def write_table(templates: Environment, name: str, shown: dict[str, Any], folder: Path) -> None:
    """`name`.html, the table by itself."""
    page = templates.get_template("table.html").render(name=name, **shown)
    (folder / f"{name}.html").write_text(page, encoding="utf-8")


def failed_table(suite: Suite, name: str, reason: str, folder: Path) -> None:
    """Files that say why there is no table."""
    text = f"{suite.tables[name].paper}, {suite.tables[name].number} could not be made: {reason}"
    for suffix, content in (("md", text), ("tex", f"% {text}"), ("csv", f"failed\n{json.dumps(text)}")):
        (folder / f"{name}.{suffix}").write_text(content + "\n", encoding="utf-8")
    (folder / f"{name}.html").write_text(f"<!doctype html>\n<p>{escape(text)}</p>\n", encoding="utf-8")


def render(suite: Suite) -> Path:
    """Write tables, figures, claims, pictures and index.html; returns the page's path.

    What raises stands in its place with its error, and in `files.json`. Raises WriteError.
    """
    with staged(suite.reports) as folder:
        frame, faults = load(suite), Faults()
        faults.attempt("page", partial(write_page, suite, frame, folder, faults), None)
        fill_in(suite, folder, faults)
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        found = Rendered(basis=rendered.page_basis(suite), files=rendered.sums(folder, names), failed=faults.found)
        write(folder / rendered.NAME, found)
    return suite.reports / "index.html"


def fill_in(suite: Suite, folder: Path, faults: Faults) -> None:
    """Files that say what is wrong in place of those that Snakemake expects and that are not there."""
    reasons = "; ".join(f"{part}: {reason}" for part, reason in faults.found.items())
    for name in suite.tables:
        if not (folder / f"{name}.html").exists():
            failed_table(suite, name, reasons, folder)
    for name in suite.figures:
        if not (folder / f"{name}.png").exists():
            figures.save(figures.words(f"failed: {reasons}"), name, folder)
    if not (folder / "index.html").exists():
        links = "".join(f'<li><a href="{name}.html">{name}</a>' for name in map(escape, suite.tables))
        text = f"<!doctype html>\n<p>The page could not be made: {escape(reasons)}</p>\n<ul>{links}</ul>\n"
        (folder / "index.html").write_text(text, encoding="utf-8")


def write_page(suite: Suite, frame: pandas.DataFrame, folder: Path, faults: Faults) -> None:
    """All files of the page, into the folder."""
    if frame.empty:  # `only` asks for figures that need no run
        frame = frame.reindex(columns=["run", "seed", "metric", "status", "reason", "final", "train_status", "seconds"])
    none: dict[str, Any] = {}
    made = {n: faults.attempt(f"table {n}", partial(table_of, suite, n, frame, folder), none) for n in suite.tables}
    grids = {name: of_table["grid"] for name, of_table in made.items() if of_table}
    outcomes = outcomes_of(suite, frame, faults)
    powers = faults.attempt("power of the claims", partial(power.of_claims, suite, frame), {})
    claim_rows = [claim_row(outcome, powers.get(outcome.name)) for outcome in outcomes]
    pandas.DataFrame(claim_rows).to_csv(folder / "claims.csv", index=False)
    failed = frame.loc[(frame.status == "failed") & frame.final]
    shown = {
        "suite": suite,
        "made": made,
        "faults": faults.found,
        "figure_stand_ins": {n: stand_ins(suite, figure.runs.values()) for n, figure in suite.figures.items()},
        "runs": runs.entries(suite, frame, folder, faults),
    }
    templates = environment()
    for name in suite.tables:
        part = f"table {name}"
        if name in grids:
            faults.attempt(part, partial(write_table, templates, name, shown, folder), None)
        if part in faults.found:  # Snakemake expects its files all the same
            failed_table(suite, name, faults.found[part], folder)
            made[name] = {}
            grids.pop(name, None)
    more = faults.attempt("correspondence", partial(correspondence.section, suite, folder), Markup())
    page = templates.get_template("index.html").render(
        **shown,
        drawn={n: figures.draw(suite, n, figure, frame, folder, faults) for n, figure in suite.figures.items()},
        papers=papers(suite, grids, outcomes, more),
        against=against.write(suite, frame, set(suite.from_file), folder, faults),
        against_rule=against.RULE,
        contracts=against.contracts(suite),
        powers=powers,
        plus_minus=tables.PLUS_MINUS,
        rules={"Verdicts": verdicts.RULE, "Claims": claims.RULE, "Places": rankings.RULE},
        run_verdicts=runs.verdicts(grids),
        cards=faults.attempt("methods", partial(runs.cards, suite), {}),
        galleries=pictures.galleries(suite, folder, faults),
        references=faults.attempt("references", partial(references_section, suite), {}),
        failed=[f"{r['run']}, seed {r['seed']}, {r['metric']}: {r['reason']}" for r in failed.to_dict("records")],
        facts=faults.attempt("facts", partial(facts, frame), NO_FACTS),
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
