"""One table in Markdown, LaTeX (booktabs) and CSV; the HTML comes from the page's template."""

from pathlib import Path

import pandas

from benchmarks.config.models import Table
from benchmarks.plan.suite import Suite
from benchmarks.report.compare import Cell, joined, number, runs_of
from benchmarks.statistics.setting import stand_ins
from benchmarks.statistics.verdicts import VERDICTS

LATEX = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "~": r"\textasciitilde{}"})


PLUS_MINUS = (
    "± is half of the 95 % interval: of the spread over seeds and of the test images together; of one seed, of its "
    "evaluation alone"
)


def ours(cell: Cell) -> str:
    """Our number with its mark, half of its 95 % interval, seeds, enclosure and warning."""
    if cell.mean is None:
        return cell.reason and f"{cell.verdict}: {cell.reason}"
    text = f"{cell.mark} {number(cell.mean)}".strip()
    if cell.half_width is not None:
        text = f"{text} ± {number(cell.half_width)}"
    if cell.count:
        text = f"{text} ({cell.count})"
    if cell.low is not None and cell.high is not None:
        text = f"{text}, between {number(cell.low)} and {number(cell.high)}"
    return f"{text} ({cell.warning})" if cell.warning else text


def paper(cell: Cell) -> str:
    """The published number."""
    if cell.published is None:
        return "–"
    error = f" ± {cell.published.error:g}" if cell.published.error is not None else ""
    approximate = "≈ " if cell.published.approximate else ""
    return f"{approximate}{cell.published.text}{error}"


def verdict(cell: Cell) -> str:
    """Verdict with its margin, and with what stands in the way of a better one."""
    if cell.verdict == "no verdict":
        return f"no verdict ({joined(*cell.caveats, cell.reason)})"
    if cell.margin is None or cell.verdict not in VERDICTS:
        return cell.verdict
    return f"{cell.verdict} ({joined(f'margin {number(cell.margin)}', cell.reason, *cell.caveats)})"


def text(cell: Cell) -> str:
    """A cell on one line."""
    if not cell.run:
        return f"paper {paper(cell)} [cited]" if cell.published else "–"
    return f"paper {paper(cell)}; ours {ours(cell)} [{verdict(cell)}]"


def markdown(table: Table, grid: list[list[Cell]], head: str) -> str:
    """A Markdown table with a head that names stand-ins."""
    lines = [f"### {table.paper}, {table.number}: {table.title}", "", head, ""]
    lines.append("| | " + " | ".join(c.label for c in table.columns) + " |")
    lines.append("|---" * (len(table.columns) + 1) + "|")
    for row, cells in zip(table.rows, grid, strict=True):
        label = row.label + (f" ({row.note})" if row.note else "")
        lines.append(f"| {label} | " + " | ".join(text(c).replace("|", "\\|") for c in cells) + " |")
    return "\n".join([*lines, "", *(f"- {note}" for note in (*table.notes, PLUS_MINUS)), ""])


def latex(table: Table, grid: list[list[Cell]], head: str) -> str:
    """A booktabs table: paper and ours side by side in each column."""
    columns = "".join(f" & {c.label.translate(LATEX)} (paper) & (ours)" for c in table.columns)
    lines = [f"% {table.paper}, {table.number}: {table.title}. {head}"]
    lines.append(r"\begin{tabular}{l" + "rr" * len(table.columns) + "}")
    lines += [r"\toprule", columns.strip() + r" \\", r"\midrule"]
    for row, cells in zip(table.rows, grid, strict=True):
        values = "".join(
            f" & {paper(c)} & {ours(c) if c.mean is not None else ('--' if not c.run else c.verdict)}" for c in cells
        )
        for sign, command in (("≈", r"$\approx$"), ("≥", r"$\geq$"), ("≤", r"$\leq$"), ("±", r"$\pm$"), ("–", "--")):
            values = values.replace(sign, command)
        lines.append(f"{row.label.translate(LATEX)}{values}" + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def csv(name: str, table: Table, grid: list[list[Cell]]) -> pandas.DataFrame:
    """A tidy frame: a row for each cell."""
    rows = []
    for row, cells in zip(table.rows, grid, strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            rows.append(
                {
                    "table": name,
                    "row": row.label,
                    "column": column.label,
                    "run": cell.run,
                    "metric": cell.metric,
                    "paper": cell.published.value if cell.published else None,
                    "paper_error": cell.published.error if cell.published else None,
                    "ours": cell.mean,
                    "sd_over_seeds": cell.spread,
                    "standard_error": cell.error,
                    "low": cell.low,
                    "high": cell.high,
                    "warning": cell.warning,
                    "seeds": cell.seeds,
                    "trainings": cell.trainings,
                    **{f"error_{source}": cell.errors.get(source) for source in ("images", "samples", "draws")},
                    "half_width_95": cell.half_width,
                    "place": cell.tie,
                    "difference": cell.difference,
                    "half_width_of_difference": cell.reach,
                    "margin": cell.margin,
                    "why_margin": cell.published.why if cell.published else "",
                    "moved": cell.moved,
                    "unit": cell.unit,
                    "kind": cell.kind,
                    "protocol": cell.protocol,
                    "bias": cell.bias,
                    "verdict": cell.verdict,
                    "reason": cell.reason,
                    "setting": "; ".join(cell.caveats),
                }
            )
    return pandas.DataFrame(rows)


def head_of(suite: Suite, grid: list[list[Cell]]) -> str:
    """What stands in for what, and by which protocols the numbers were measured."""
    protocols = {f"{cell.metric}: {cell.protocol}" for line in grid for cell in line if cell.protocol}
    return f"Profile {suite.name}. " + ". ".join([*stand_ins(suite, runs_of(grid)), *sorted(protocols)]) + "."


def write(suite: Suite, name: str, table: Table, grid: list[list[Cell]], folder: Path) -> str:
    """Write `name`.md, .tex and .csv; returns the head."""
    head = head_of(suite, grid)
    (folder / f"{name}.md").write_text(markdown(table, grid, head), encoding="utf-8")
    (folder / f"{name}.tex").write_text(latex(table, grid, head), encoding="utf-8")
    csv(name, table, grid).to_csv(folder / f"{name}.csv", index=False)
    return head
