"""Verdicts and claims by their stated rules, on numbers made for the purpose."""

import json
from pathlib import Path

import pandas
import pytest

from benchmarks.config.models import Cell as Address
from benchmarks.config.models import Claim
from benchmarks.config.published import Published, published_values
from benchmarks.errors import SuiteError
from benchmarks.plan.suite import Suite
from benchmarks.report import compare, page, runs, tables
from benchmarks.report.compare import Cell, judge, refuse_mixture
from benchmarks.statistics import claims
from benchmarks.statistics.setting import Setting, setting_of, stand_ins

ROOT = Path(__file__).resolve().parents[2]
PAPER = Suite("paper")


def cell(mean, published, **more):
    values = {seed: mean + offset for seed, offset in enumerate((-0.001, 0.0, 0.001))}
    return Cell(run="vae-4-point", metric="log_likelihood", mean=mean, values=values, published=published, **more)


def test_no_verdict_without_the_means():
    published = Published(-1.568, "-1.568", margin=0.08, why="a test")
    row = Address(label="x")
    assert judge(cell(-1.5, None), row) == "no published value"
    assert judge(cell(-1.5, published), Address(label="x", cited=True)) == "cited, other network"
    for setting in (
        Setting(stand_in="digits stands in for mnist"),
        Setting(network="small networks"),
        Setting(cut=True),
    ):
        assert judge(cell(-1.57, published, setting=setting), row) == "no verdict"
    serves = Setting(network="the authors' notebook's networks", serves=True)
    assert judge(cell(-1.57, published, setting=serves), row) == "reproduced"
    judged = cell(-1.57, published)
    assert judge(judged, row) == "reproduced"
    assert judged.margin == 0.08


@pytest.mark.parametrize(
    ("moved", "verdict", "reason"),
    [
        (None, "no verdict", "how much the number moved at the end of training is unknown"),
        (0.2, "no verdict", "still moving: by +0.2 over the last fifth of training, the margin is 0.08"),
        (-0.05, "reproduced", ""),
    ],
)
def test_a_reduced_training_is_judged_once_its_number_has_stopped_moving(moved, verdict, reason):
    published = Published(-1.568, "-1.568", margin=0.08, why="a test")
    found = cell(-1.57, published, setting=Setting(share=0.1), moved=moved)
    assert judge(found, Address(label="x")) == verdict
    assert found.reason == reason


def test_the_change_over_the_last_fifth_is_read_from_the_results():
    suite, run = Suite("quick"), "vae-4-point"
    before, common = suite.settling_round(run), {"run": run, "metric": "elbo", "status": "ok", "details": "{}"}
    rows = [
        common | {"seed": seed, "step": step, "final": final, "value": value}
        for seed in (0, 1)
        for step, final, value in ((0, False, -9.0), (before, False, -1.75), (8000, True, -1.70 + 0.01 * seed))
    ]
    assert compare.moved(suite, pandas.DataFrame(rows), run, "elbo") == pytest.approx(0.055)
    ended_early = [row | {"seed": 2, "step": before - 10} for row in rows[-1:]]
    assert compare.moved(suite, pandas.DataFrame(rows + ended_early), run, "elbo") == pytest.approx(0.11 / 3)


def test_the_setting_of_a_run_says_what_differs_from_the_paper():
    assert setting_of(PAPER, "vae-4-point").paper
    quick = setting_of(Suite("quick"), "vae-mnist-8")
    assert (quick.stand_in, quick.network, quick.paper) == ("digits stands in for mnist", "small networks", False)
    assert setting_of(Suite("smoke"), "vae-4-point").cut


def test_columns_do_not_mix_protocols():
    a, b = (Cell(run="r", metric="ais", mean=1.0, protocol=p) for p in ("mnist, n=128", "mnist, n=2048"))
    with pytest.raises(SuiteError, match="mixes the protocols"):
        refuse_mixture("avb-table-2", [a, b])


def test_published_values_are_the_papers():
    values = published_values()
    assert values["avb-table-1", "log-likelihood", "AVB"].value == -1.403
    assert values["avb-table-2", "AVB + AC (8-dim)", "log p(x) ~="].value == -89.6
    labels = {(name, row.label) for name, table in PAPER.tables.items() for row in table.rows}
    assert {(table, row) for table, row, _ in values} <= labels


def frame(values):
    rows = [
        {"run": run, "metric": "m", "seed": seed, "final": True, "status": "ok", "value": v, "details": json.dumps({})}
        for run, series in values.items()
        for seed, v in enumerate(series)
    ]
    return pandas.DataFrame(rows)


def claim(**more):
    a, b = ({"run": r, "metric": "m"} for r in "ab")
    return Claim(paper="P", source="s", family="f", sentence="a > b", **{"greater": a, "than": b, **more})


@pytest.mark.parametrize(
    ("a", "b", "more", "verdict"),
    [
        ([2.0, 2.1, 2.2], [1.0, 1.1, 1.25], {}, "supported"),
        ([1.0, 1.1, 1.2], [2.0, 2.1, 2.25], {}, "contradicted"),
        ([1.0, 2.0, 3.0], [1.1, 1.9, 3.0], {}, "undecided"),
        ([2.0], [1.0], {}, "undecided"),
        ([1.01, 1.02, 1.03], [1.0, 1.0, 1.0], {"between": (-0.08, 0.08)}, "supported"),
    ],
)
def test_claims(a, b, more, verdict):
    outcome = claims.measure("c", claim(**more), frame({"a": a, "b": b}))
    claims.correct([outcome])
    assert outcome.verdict == verdict


def test_one_seed_and_missing_runs_say_why():
    assert "one seed" in claims.measure("c", claim(), frame({"a": [1.0], "b": [2.0]})).reason
    assert "not run" in claims.measure("c", claim(), frame({"a": [1.0]})).reason


def test_a_claim_can_compare_two_improvements():
    more = {"greater": {"run": "a", "minus": "b", "metric": "m"}, "than": {"run": "c", "minus": "b", "metric": "m"}}
    found = claims.measure("c", claim(**more), frame({"a": [3.0, 4.0], "b": [1.0, 1.0], "c": [2.0, 2.0]}))
    assert found.effect == pytest.approx(1.5)  # (3 - 1) - (2 - 1) and (4 - 1) - (2 - 1)
    assert claim(**more).greater.runs() == ["a", "b"]


def test_a_table_whose_rows_are_data_sets_has_a_protocol_for_each(tmp_path, monkeypatch):
    suite = Suite("quick")
    table = suite.tables["unifying-table-2-middle"]
    assert table.rows_are == "datasets"
    rows = [
        {"run": run, "metric": metric, "seed": 0, "final": True, "status": "ok", "value": 1.0, "reason": "",
         "standard_error": 0.1, "kind": "estimate", "unit": "", "images": 0, "labelled_images": 0,
         "protocol": suite.dataset_of(run)[0]}
        for _, _, run, metric in suite.cells(table)
    ]  # fmt: skip
    grid = compare.table_cells(suite, pandas.DataFrame(rows), "unifying-table-2-middle", table)
    assert {cell.protocol for line in grid for cell in line} == {"digits-grey", "digits-levels"}
    with pytest.raises(SuiteError, match="mixes the protocols"):
        compare.table_cells(suite, pandas.DataFrame(rows), "t", table.model_copy(update={"rows_are": "methods"}))


def test_cells_read_well():
    assert (
        tables.ours(
            Cell(
                metric="elbo",
                mean=-89.6,
                spread=0.5,
                seeds=3,
                trainings=4,
                errors={"images": 2.0},
                kind="lower bound",
                values={0: -90.1, 1: -89.6, 2: -89.1},
            )
        )
        == "≥ -89.60 ± 3.9615 (3 of 4 seeds)"
    )
    assert tables.ours(Cell(verdict="not run", reason="no data")) == "not run: no data"
    assert tables.paper(Cell(published=Published(-83.6, "-83.6", 0.4, approximate=True))) == "≈ -83.6 ± 0.4"


def test_what_stands_in_is_said_of_any_runs():
    assert stand_ins(Suite("quick"), ["vae-mnist-8", "avb-4-point"]) == ["digits stands in for mnist"]
    assert stand_ins(Suite("paper"), ["vae-mnist-8", "avb-4-point"]) == []


def origins(**columns):
    """Results of three trainings: run a with seeds 0 and 1, run b with seed 0, each with two metrics."""
    trained = {
        "run": ["a", "a", "b"], "seed": [0, 1, 0], "train_status": "ok", "seconds": 60.0, "hardware": "X",
        "device": "cpu", "environment_sha256": "e" * 64, "commit": "c" * 40, "dirty": False,
        "started": "2026-01-02T00:00:00", "versions": json.dumps({"torch": "2.0"}),
    }  # fmt: skip
    rows = pandas.DataFrame({**trained, **columns})
    return pandas.concat([rows.assign(metric=metric) for metric in ("m", "n")])


def test_the_page_names_every_commit_and_set_of_versions():
    versions = [json.dumps({"torch": version}) for version in ("2.0", "2.1", "2.1")]
    found = page.facts(origins(commit=["c" * 40, "d" * 40, "d" * 40], dirty=[True, None, False], versions=versions))
    assert found["commits"] == [("d" * 10, 2), ("c" * 10 + " with uncommitted changes", 1)]
    assert found["versions"] == [({"torch": "2.1"}, 2), ({"torch": "2.0"}, 1)]
    assert found["seconds"] == 180
    later = page.facts(origins(started=["2026-01-02T00:00:00", "2026-01-05T00:00:00", ""]))
    assert (later["started"], page.facts(origins())["started"]) == ("2026-01-02 to 2026-01-05", "2026-01-02")
    assert page.facts(origins(train_status="failed"))["commits"] == []


def test_a_table_says_which_environments_and_commits_it_mixes():
    grid = [[Cell(run="a"), Cell(run="b"), Cell()]]
    assert runs.mixtures(origins(), grid) == []
    mixed = origins(device=["cpu", "cpu", "cuda"], environment_sha256=["e" * 64, None, "e" * 64])
    (found,) = runs.mixtures(mixed, grid)
    assert (found.what, found.count) == ("environment", "2 environments and some that was not recorded")
    assert found.groups["packages eeeeeeeeee, on cuda"] == ["b, seed 0"]
    assert found.groups["packages not recorded, on cpu"] == ["a, seed 1"]
    assert runs.mixtures(mixed, [[Cell(run="b")]]) == []
    (found,) = runs.mixtures(origins(commit=["d" * 40, "c" * 40, "c" * 40]), grid)
    assert found.count == "2 commits"
    assert list(found.groups.items()) == [("c" * 10, ["a, seed 1", "b, seed 0"]), ("d" * 10, ["a, seed 0"])]


def test_seeds_of_a_run_that_differ_are_told_apart():
    rows = origins().loc[lambda frame: (frame.run == "a") & (frame.metric == "m")].assign(steps=[10, 20])
    assert runs.by_seed(rows, lambda row: row.device) == "cpu"
    assert runs.by_seed(rows, lambda row: f"{row.steps}") == "10 (seed 0); 20 (seed 1)"
    assert runs.by_seed(rows.iloc[:0], lambda row: row.device) == ""
    part = rows.assign(energy_kwh=[0.5, None], energy_source="RAPL")
    assert runs.energy_source(part) == "RAPL; 1 of 2 seeds"


def test_notes_of_a_mixed_table_stand_under_it():
    text = page.environment().from_string('{% from "macros.html" import origins %}{{ origins(found) }}')
    shown = text.render(found=[runs.Mixture("commit", {"abc": ["a, seed 0"], "def": ["<b>, seed 0"]})])
    assert "come from 2 commits" in shown
    assert "def: &lt;b&gt;, seed 0" in shown
    assert text.render(found=[]).strip() == ""


def test_a_run_whose_first_seed_is_not_run_shows_the_others(monkeypatch, tmp_path):
    monkeypatch.setattr(runs.pictures, "curves", lambda *_: [])
    suite = Suite("quick", only=["vae-4-point"])
    trained = {
        "method": "VAE", "dataset": "4-point", "train_status": "ok", "train_reason": "", "steps": 50,
        "paper_steps": 100, "images_per_second": 1.0, "peak_memory_mib": 1.0, "threads": 1, "precision": "float32",
        "energy_kwh": None, "energy_source": "", "parameters": json.dumps({"encoder": 1000}),
    }  # fmt: skip
    rows = origins().iloc[:3].assign(run="vae-4-point", seed=[0, 1, 2], **trained)
    missing = {"train_status": "not run", "train_reason": "no data", "steps": 0, "paper_steps": 0, "device": ""}
    rows.loc[0, list(missing)] = list(missing.values())
    entry = runs.entries(suite, rows, tmp_path)["vae-4-point"]
    assert (entry["rounds"], entry["share"], entry["status"]) == ("50", 50.0, "not run, ok")
    assert (entry["hardware"], entry["reason"]) == ("cpu X, 1 thread(s), float32", "no data")
    rows.loc[2, ["steps", "commit"]] = [60, "d" * 40]
    entry = runs.entries(suite, rows, tmp_path)["vae-4-point"]
    assert entry["rounds"] == "50 (seed 1); 60 (seed 2)"
    assert entry["commit"] == f"{'c' * 10} (seed 1); {'d' * 10} (seed 2)"
