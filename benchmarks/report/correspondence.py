"""Unifying, table 1, from the literal `correspondence` of the methods' files: one row for each method.

The literals are plain text: p_theta(x|y), q_phi^r(y|x), KL(a || b), [G] for generative and [I] for inference process.
"""

import html
import re
from collections.abc import Callable
from pathlib import Path

import pandas
from markupsafe import Markup

from benchmarks.config.method_cards import FIELDS, described
from benchmarks.plan.suite import Suite
from benchmarks.report.tables import LATEX

NAME = "unifying-table-1"
TITLE = "Unifying, Table 1: correspondence between the approaches in the paper's formulation"
NOTES = (
    "[G]: part of the generative process, [I]: of the inference process. Read from the methods' files; the paper has "
    "the columns ADA, GANs / InfoGAN and VAEs, the other methods are read in the same way",
    "where both players are trained by labels, the generator's step is the gradient of this KLD less a JSD (eq. 10); "
    "q^r is q with the labels reversed, q_* the perfect discriminator",
)
FILES = {"md": "Markdown", "tex": "LaTeX", "csv": "CSV"}
SYMBOL = re.compile(r"(?<![A-Za-z])(?P<base>[pqh])(_(?P<low>[a-z]+0?|\*))?(\^(?P<high>r))?(?![A-Za-z])")
GREEK = {"theta": "θ", "phi": "φ", "eta": "η", "lambda": "λ", "theta0": "θ₀"}
LABEL = re.compile(r"\[([GI])\]")


def frame(suite: Suite) -> pandas.DataFrame:
    """A row for each method, those of the paper's table first; a column for each component."""
    declared = described("correspondence", suite.runs)
    literals = {name: found.literals["correspondence"] for name, found in declared.items()}
    rows = {says.get("name", name): {key: says[key] for key in FIELDS} for name, says in literals.items()}
    first = [name for name in ("ADA", "GAN", "InfoGAN", "VAE") if name in rows]
    order = first + sorted((name for name in rows if name not in first), key=str.casefold)
    return pandas.DataFrame([rows[name] for name in order], index=pandas.Index(order, name="method")).rename(
        columns=FIELDS
    )


def as_html(text: str) -> str:
    """Subscripts, Greek letters, bold labels."""

    def symbol(found: re.Match) -> str:
        low, high = found["low"], found["high"]
        return (
            f"<i>{found['base']}</i>"
            + (f"<sub>{GREEK.get(low, low)}</sub>" if low else "")
            + (f"<sup>{high}</sup>" if high else "")
        )

    return LABEL.sub(r"<b>[\1]</b>", SYMBOL.sub(symbol, html.escape(text, quote=False))).replace("||", "‖")


def as_markdown(text: str) -> str:
    """The HTML of a cell, with escaped bars."""
    return as_html(text).replace("|", "\\|").replace("*", "\\*")


def as_latex(text: str) -> str:
    """Symbols in mathematics, the rest escaped."""

    def symbol(found: re.Match) -> str:
        low, high = found["low"], found["high"]
        low = {"theta0": r"\theta_0"}.get(low, f"\\{low}" if low in GREEK else f"\\mathrm{{{low}}}") if low else ""
        low = low.replace(r"\mathrm{*}", "*")
        return f"${found['base']}" + (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "") + "$"

    parts, end = [], 0
    for found in SYMBOL.finditer(text):
        parts += [text[end : found.start()].translate(LATEX), symbol(found)]
        end = found.end()
    joined = "".join([*parts, text[end:].translate(LATEX)]).replace("||", r"$\Vert$")
    return LABEL.sub(r"\\textbf{[\1]}", joined).replace("|", "$|$")


def header(found: pandas.DataFrame, style: Callable[[str], str]) -> list[str]:
    """The columns' names in one style, the index first."""
    return ["", *(style(column) for column in found.columns)]


def section(suite: Suite, folder: Path) -> Markup:
    """Write unifying-table-1.md, .tex and .csv; returns its HTML, or nothing where `only` asks for other things."""
    if suite.only:
        return Markup()
    found = frame(suite)
    found.to_csv(folder / f"{NAME}.csv")
    lines = [f"### {TITLE}", "", "| " + " | ".join(header(found, as_markdown)) + " |", "|---" * (len(FIELDS) + 1) + "|"]
    for name, row in found.iterrows():
        lines.append("| " + " | ".join([str(name), *map(as_markdown, row)]) + " |")
    lines += ["", *(f"- {as_markdown(note)}." for note in NOTES), ""]
    (folder / f"{NAME}.md").write_text("\n".join(lines), encoding="utf-8")

    lines = [f"% {TITLE}", r"\begin{tabular}{l" + r"p{2.6cm}" * (len(FIELDS) - 1) + "p{4.5cm}}", r"\toprule"]
    lines += [" & ".join(header(found, as_latex)) + r" \\", r"\midrule"]
    for name, row in found.iterrows():
        lines.append(" & ".join([str(name).translate(LATEX), *map(as_latex, row)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", ""]
    (folder / f"{NAME}.tex").write_text("\n".join(lines), encoding="utf-8")

    rows = ["<tr>" + "".join(f"<th>{cell}" for cell in header(found, as_html)) + "</tr>"]
    for name, row in found.iterrows():
        cells = "".join(f"<td>{cell}" for cell in map(as_html, row))
        rows.append(f"<tr><th>{html.escape(str(name))}{cells}</tr>")
    notes = "".join(f"{as_html(note)}.<br>" for note in NOTES)
    files = " ".join(f'<a href="{NAME}.{suffix}">{what}</a>' for suffix, what in FILES.items())
    table = "<table>\n" + "\n".join(rows) + "\n</table>"
    return Markup(
        f'<h3 id="{NAME}">{TITLE}</h3>\n<div class="scroll">{table}</div>\n<p><small>{notes}{files}</small></p>'
    )
