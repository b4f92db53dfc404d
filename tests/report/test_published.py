"""reports/published/laptop: what is withdrawn is found again from results.csv, and marked wherever it is shown."""

import html
import re
from collections import Counter
from pathlib import Path

import pandas
import pytest
import torch

from benchmarks.plan.suite import Suite
from benchmarks.report.page import COMPARED, DECIDED, KINDS
from methods.training.game import Batch, Player, play_round

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "published" / "laptop"
FIXED = "2026-11-22"  # trainings that started before this day had one autocast context for a whole round
STALE = "bf16: every move after the first of a round used casts of the weights from before the round"
NEIGHBOURS = "k-NN KL is off by up to a factor of 25"
BALANCED = "mode_share scores one blob between the modes as balanced"
METRICS = {
    "aggregated_kl": NEIGHBOURS,
    "kl_to_posterior": NEIGHBOURS,
    "kl_from_posterior": NEIGHBOURS,
    "mode_share": BALANCED,
}
MOVES = ("adversary_steps", "critic_steps")  # options that give one player several moves a round
SUITE = Suite("laptop")
CHIP = r'<span class="chip \w+"><span aria-hidden="true">.</span> ([^<]*)</span>'


def table(name):
    """A CSV of the report, empty fields as empty text."""
    return pandas.read_csv(FOLDER / name, dtype=str, keep_default_na=False)


PAGE = (FOLDER / "index.html").read_text(encoding="utf-8")
RESULTS = table("results.csv")
TABLES = sorted(path.stem for path in FOLDER.glob("*.csv") if "verdict" in table(path.name) and path.stem != "claims")


def steps_between_gradients(run):
    """Whether a step is taken in a round before its last gradient is computed.

    Players that move at the same time take all gradients of their k-th moves first: with one move each, no gradient of
    the round comes after a step.
    """
    moves = max(SUITE.run(run).options.get(name, 1) for name in MOVES)
    if SUITE.train_options(run)["simultaneous"]:
        return moves > 1
    return moves > 1 or len(SUITE.method_of(run).literals["player_names"]) > 1


def withdrawn_trainings():
    """Rows (run, seed, precision, commit) of the bf16 trainings that computed gradients at old casts of weights."""
    trained = RESULTS.drop_duplicates(["run", "seed"])
    trained = trained.loc[(trained.precision == "bfloat16") & (trained.started < FIXED)]
    return trained.loc[[steps_between_gradients(run) for run in trained.run], ["run", "seed", "precision", "commit"]]


RUNS = set(withdrawn_trainings().run)


def reason(run, metric):
    """Why a number of this run and metric is withdrawn; empty if it is not."""
    return "; ".join(filter(None, (STALE if run in RUNS else "", METRICS.get(metric, ""))))


def found(pattern, text, group=0):
    """The first match in the text, or a group of it; empty without one."""
    match = re.search(pattern, text, re.DOTALL)
    return match.group(group) if match else ""


def section(name):
    """The table's section of the page; empty for a table that only has files."""
    return found(rf'<h3 id="{re.escape(name)}">.*?</table>', PAGE)


def claim_reason(name, seeds):
    """Why the outcome of a claim is withdrawn, by the runs and metrics in its row of the page; empty if it is not.

    A claim of which no seed had the numbers was not decided by any, and stays as it is.
    """
    asked = found(r'<th scope="row">(.*?)</th>', claim_row(name), 1)
    if not int(seeds):
        return ""
    reasons = [reason(run, "") for run in re.findall(r'"#run-([^"]*)"', asked)]
    reasons += [why for metric, why in (METRICS | {"smaller mode": BALANCED}).items() if metric in asked]  # its detail
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def claim_row(name):
    """The claim's row of the page."""
    return found(rf'<tr id="{re.escape(name)}">.*?</tr>', PAGE)


def numbers(name):
    """The cells of a table that have a number of ours."""
    cells = table(f"{name}.csv")
    return cells.loc[cells.ours != ""]


def test_the_withdrawn_trainings_are_those_of_the_rule():
    listed = table("withdrawn.csv")
    assert list(listed.columns) == ["run", "seed", "precision", "commit", "reason"]
    by_rule = withdrawn_trainings()
    assert sorted(map(tuple, listed.drop(columns="reason").to_numpy())) == sorted(map(tuple, by_rule.to_numpy()))
    assert set(listed.reason) == {STALE}


def weights_after_a_round(simultaneous, one_context):
    """All weights after a round of two players in bf16, with one autocast context for the round or one a move."""
    torch.manual_seed(0)
    one, other = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)

    def loss(batch):
        return other(one(batch.x)).square().mean()

    players = {"one": Player((one,), loss), "other": Player((other,), loss)}
    optimisers = {name: torch.optim.SGD(player.parameters(), lr=0.5) for name, player in players.items()}
    batches = iter([Batch(torch.rand(4, 3))] * 2)
    if one_context:
        with torch.autocast("cpu", torch.bfloat16):
            play_round(players, optimisers, batches, 0, simultaneous)
    else:
        play_round(players, optimisers, batches, 0, simultaneous, lambda: torch.autocast("cpu", torch.bfloat16))
    return torch.cat([p.detach().flatten() for module in (one, other) for p in module.parameters()])


def test_one_context_for_a_round_touches_players_in_turn_but_not_players_at_once():
    assert not torch.equal(weights_after_a_round(False, True), weights_after_a_round(False, False))
    assert torch.equal(weights_after_a_round(True, True), weights_after_a_round(True, False))


@pytest.mark.parametrize("name", TABLES)
def test_tables_mark_what_is_withdrawn(name):
    cells = table(f"{name}.csv")
    asked = zip(cells.run, cells.metric, cells.ours, strict=True)
    expected = [reason(run, metric) if ours else "" for run, metric, ours in asked]
    assert list(cells.verdict == "withdrawn") == [bool(why) for why in expected]
    assert all(why in ("", shown) for why, shown in zip(expected, cells.reason, strict=True))
    columns, markdown = list(dict.fromkeys(cells.column)), (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    lines = [line for line in markdown.splitlines() if line.startswith("| ")][1:]
    shown = [text.removesuffix(" |").endswith("[withdrawn]") for line in lines for text in line.split(" | ")[1:]]
    assert shown == [bool(why) for why in expected]
    assert len(shown) == len(lines) * len(columns)
    latex = (FOLDER / f"{name}.tex").read_text(encoding="utf-8")
    comments = "\n".join(line for line in latex.splitlines() if line.startswith("% withdrawn: "))
    assert all(f"{cells.row[k]}, {cells.column[k]}" in comments for k, why in enumerate(expected) if why)
    assert bool(comments) == any(expected)


def test_claims_that_rest_on_what_is_withdrawn_are_withdrawn():
    claims = table("claims.csv")
    expected = [claim_reason(name, seeds) for name, seeds in zip(claims.name, claims.seeds, strict=True)]
    assert list(claims.verdict == "withdrawn") == [bool(why) for why in expected]
    assert all(why in ("", shown) for why, shown in zip(expected, claims.reason, strict=True))
    for name, verdict in zip(claims.name, claims.verdict, strict=True):
        assert found(CHIP, claim_row(name), 1) == verdict


def test_the_page_shows_the_verdicts_of_the_tables():
    for name in filter(section, TABLES):
        cells = table(f"{name}.csv")
        opened = re.findall(r'<details class="cell">.*?</details>', section(name), re.DOTALL)
        shown = [found(CHIP, cell, 1) for cell in opened]
        words = [KINDS.get(word, ("", "", word))[2] for word in cells.verdict[cells.run != ""]]
        assert shown == words, name
        for cell, why in zip(opened, cells.reason[cells.run != ""], strict=True):
            assert ">withdrawn</span>" not in cell or f"<dt>withdrawn</dt><dd>{html.escape(why)}</dd>" in cell


def test_the_page_counts_what_it_shows():
    alert = found(r'<div class="alert" id="withdrawn">.*?</div>', PAGE)
    cells = pandas.concat([numbers(name) for name in TABLES if section(name)])
    gone = cells.loc[cells.verdict == "withdrawn"]
    claims = table("claims.csv")
    trained = RESULTS.loc[RESULTS.precision == "bfloat16"].drop_duplicates(["run", "seed"])
    for text in (
        f"{len(withdrawn_trainings())} of the {len(trained)} trainings in bf16",
        f"{gone.run.isin(RUNS).sum()} cells",
        f"{gone.metric.isin(METRICS).sum()} cells",
        f"{(claims.verdict == 'withdrawn').sum()} claims",
    ):
        assert text in alert


def counted(card, what):
    """Word -> number, of the bar of a paper's card; empty without one."""
    label = found(rf'aria-label="([^"]*) of \d+ {what}"', card, 1)
    return {word: int(number) for number, word in re.findall(r"(\d+) ([^,]+)", label)}


def test_each_paper_s_bars_count_its_cells_and_claims():
    claims = table("claims.csv")
    for card in re.findall(r'<section class="card" aria-labelledby="over-.*?</section>', PAGE, re.DOTALL):
        title = found(r'<a href="#(paper-[^"]*)">', card, 1)
        paper = found(rf'<section id="{title}".*?(?=<section id="(?!{title}))', PAGE)
        cells = pandas.concat([table(f"{name}.csv") for name in TABLES if f'<h3 id="{name}">' in paper])
        compared = Counter(cells.loc[(cells.run != "") & (cells.paper != ""), "verdict"])
        claimed = Counter(v for n, v in zip(claims.name, claims.verdict, strict=True) if f'<tr id="{n}">' in paper)
        for what, counts, words in (("cells", compared, COMPARED), ("claims", claimed, DECIDED)):
            assert counted(card, what) == {w: counts[w] for w in (*words, "withdrawn") if counts[w]}, (title, what)


def test_runs_are_marked_where_their_cost_stands():
    for run in set(RESULTS.run):
        entry = found(rf'<tr id="run-{re.escape(run)}">.*?</tr>', PAGE)
        assert (f"<dt>withdrawn</dt><dd>{STALE}</dd>" in entry) == (run in RUNS), run
