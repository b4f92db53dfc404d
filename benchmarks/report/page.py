"""reports/<profile>/index.html: opens from disk, with everything a reader looks for."""

import json
from pathlib import Path
from typing import Any

import pandas
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.catalogue import ROOT
from benchmarks.records import read_json
from benchmarks.report import against, claims, compare, correspondence, figures, ranking, tables, verdicts
from benchmarks.report.frame import load
from benchmarks.suite import Suite


def deviations(suite: Suite, run: str) -> list[str]:
    """How this profile's run differs from the paper's protocol, computed where it can be."""
    definition = suite.run(run)
    found = [*compare.caveats(suite, run), *definition.deviations]
    ours, theirs = suite.train_options(run), definition.train.model_dump()
    for key in ("batch_size", "learning_rate", "betas", "decay_from", "precision"):
        if list(ours[key]) != list(theirs[key]) if isinstance(ours[key], tuple | list) else ours[key] != theirs[key]:
            found.append(f"{key} {json.dumps(ours[key])} instead of {json.dumps(theirs[key])}")
    budget = suite.budget(run)
    return found + ([budget.why] if budget.why else [])


def runs_section(suite: Suite, frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """One entry for each run: status, cost, command, deviations."""
    entries = []
    for run in sorted(suite.wanted):
        rows = frame.loc[frame.run == run].drop_duplicates("seed").sort_values("seed")
        first = rows.iloc[0]
        entries.append(
            {
                "name": run,
                "method": first.method,
                "dataset": first.dataset,
                "status": ", ".join(sorted(set(rows.train_status))),
                "reason": next((r for r in rows.train_reason if r), ""),
                "seeds": list(rows.seed),
                "steps": int(first.steps),
                "share": f"{100 * first.steps / first.paper_steps:.3g} %" if first.paper_steps else "",
                "seconds": f"{rows.seconds.mean():.1f}",
                "rate": f"{rows.images_per_second.mean():,.0f}",
                "memory": f"{rows.peak_memory_mib.max():,.0f}",
                "hardware": f"{first.device} {first.hardware}, {first.threads} thread(s), {first.precision}",
                "parameters": ", ".join(f"{k} {v:,}" for k, v in json.loads(first.parameters).items()),
                "command": f"python -m benchmarks train {run} --seed 0 --profile {suite.name}"
                + (f" && python -m benchmarks evaluate {run} --seed 0 --profile {suite.name}"),
                "deviations": deviations(suite, run),
                "note": suite.run(run).note,
            }
        )
    return entries


def references_section(suite: Suite) -> dict[str, dict[str, float]]:
    """Diagnostics of each reference."""
    found = {}
    for name in suite.problems:
        path = Path("results") / suite.name / "references" / f"{name}.json"
        if path.exists():
            found[name] = {k: v for k, v in read_json(path).items() if k != "code"}
    return found


def environment() -> Environment:
    """Jinja with the helpers that the template uses."""
    made = Environment(
        loader=FileSystemLoader(ROOT / "benchmarks" / "templates"), autoescape=True, undefined=StrictUndefined
    )
    made.filters |= {"ours": tables.ours, "paper": tables.paper, "verdict": tables.verdict, "number": compare.number}
    return made


def render(suite: Suite) -> Path:
    """Write tables, figures, claims and index.html; returns the page's path."""
    folder = Path("reports") / suite.name
    folder.mkdir(parents=True, exist_ok=True)
    frame = load(suite)
    if frame.empty:  # `only` asks for figures that need no run
        frame = frame.reindex(columns=["run", "seed", "metric", "status", "reason", "final", "train_status", "seconds"])
    grids = {
        name: compare.table_cells(suite, frame, table.copy_of or name, table) for name, table in suite.tables.items()
    }
    heads = {name: tables.write(suite, name, suite.tables[name], grid, folder) for name, grid in grids.items()}
    drawn = {name: figures.draw(suite, name, figure, frame, folder) for name, figure in suite.figures.items()}
    outcomes = claims.decide(suite, frame)
    claim_rows = [{**vars(o), "claim": o.claim.sentence} for o in outcomes]
    pandas.DataFrame(claim_rows).to_csv(folder / "claims.csv", index=False)
    trained = frame.loc[frame.train_status == "ok"].drop_duplicates(["run", "seed"])
    failed = frame.loc[(frame.status == "failed") & frame.final]
    page = (
        environment()
        .get_template("index.html")
        .render(
            suite=suite,
            grids=grids,
            heads=heads,
            drawn=drawn,
            against=against.write(suite, frame, set(suite.from_file), folder),
            against_rule=against.RULE,
            contracts=against.contracts(suite),
            correspondence=correspondence.section(suite, folder),
            outcomes=outcomes,
            counts=compare.verdict_counts(grids),
            claim_counts={v: sum(o.verdict == v for o in outcomes) for v in ("supported", "contradicted", "undecided")},
            rules={"verdicts": verdicts.RULE, "places": ranking.RULE, "claims": claims.RULE},
            runs=runs_section(suite, frame),
            references=references_section(suite),
            failed=[f"{r['run']}, seed {r['seed']}, {r['metric']}: {r['reason']}" for r in failed.to_dict("records")],
            versions=json.loads(trained["versions"].iloc[0]) if len(trained) else {},
            commit=trained["commit"].iloc[0] if len(trained) else "",
            total_seconds=float(trained.seconds.sum()),
        )
    )
    target = folder / "index.html"
    target.write_text(page, encoding="utf-8")
    return target
