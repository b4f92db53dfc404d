"""A report comes whatever is wrong with a part of it, and the page that was there stays until the new one is whole."""

import json
import math
import shutil
from pathlib import Path

import numpy
import pandas
import pytest
from markupsafe import escape
from PIL import Image

from benchmarks.cli.main import main
from benchmarks.jobs import collect
from benchmarks.plan.forecast import announcement
from benchmarks.plan.rendered import Rendered
from benchmarks.plan.suite import Suite
from benchmarks.report import compare, figures, page, pictures, runs
from benchmarks.report.faults import Faults, staged
from benchmarks.statistics import claims
from benchmarks.statistics.inference import Seeds, spread_test
from benchmarks.store.records import Contract, Result, RunRecord, read, write
from methods.training.atomic_files import WriteError, write_arrays
from tests.workflow.test_dag import copy_tree, snakemake

ONLY = ["avb-table-1", "avb-figure-1", "avb-figure-6", "avb-beats-vae-4-point"]
SELECTION = Path("reports/smoke/only") / "+".join(sorted(ONLY))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A table, two figures and a claim, made once."""
    folder = copy_tree(tmp_path_factory.mktemp("guards"))
    done = snakemake(folder, "--config", "profile=smoke", f"only={','.join(ONLY)}")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture
def here(finished, tmp_path, monkeypatch):
    """Its results and reports, in the current folder."""
    for name in ("results", "reports"):
        shutil.copytree(finished / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render():
    """The page and what of it could not be made."""
    path = page.render(Suite("smoke", None, ONLY))
    return path.read_text(), read(path.parent / "files.json", Rendered).failed


@pytest.mark.parametrize(("arrays", "error"), [({"z": numpy.ones((9, 1))}, "IndexError"), ({"y": [1.0]}, "KeyError")])
def test_a_figure_of_odd_arrays_is_an_error_in_its_place(here, arrays, error):
    write_arrays(here / "results/smoke/avb-ac-torus/seed0/posterior_draws.npz", arrays)
    text, failed = render()
    assert 'id="avb-table-1"' in text
    assert list(failed) == ["figure avb-figure-1"]
    assert error in failed["figure avb-figure-1"]
    assert escape(failed["figure avb-figure-1"]) in text
    assert (SELECTION / "avb-figure-1.png").stat().st_size > 500


@pytest.mark.parametrize(("value", "error"), [(1.0, "LinAlgError"), (math.nan, "ValueError")])
def test_a_density_of_a_collapsed_posterior_is_an_error_in_its_place(tmp_path, monkeypatch, value, error):
    def collapsed(*_):
        drawing, axis = figures.plt.subplots()
        figures.density(axis, numpy.full(500, value), numpy.full(500, value), (0, 1, 0, 1))
        return drawing

    suite, faults = Suite("smoke", None, ["avb-figure-4"]), Faults()
    monkeypatch.setitem(figures.KINDS, "posterior_marginals", collapsed)
    figure = suite.figures["avb-figure-4"]
    said = figures.draw(suite, "avb-figure-4", figure, pandas.DataFrame(), tmp_path, faults)
    assert said.startswith(f"failed: {error}")
    assert (tmp_path / "avb-figure-4.png").exists()
    assert list(faults.found) == ["figure avb-figure-4"]


PARTS = {
    "table avb-table-1": (compare, "table_cells"),
    "figure avb-figure-6": (figures, "tile"),
    "claim avb-beats-vae-4-point": (claims, "measure"),
    "run vae-4-point": (runs, "cost"),
    "curves of vae-4-point": (pictures, "curve_svg"),
    "methods": (runs, "cards"),
    "facts": (page, "facts"),
    "references": (page, "references_section"),
}


@pytest.mark.parametrize("parts", [*([part] for part in PARTS), list(PARTS)[:3]], ids=lambda parts: "+".join(parts))
def test_each_part_of_the_page_may_fail(here, monkeypatch, parts):
    def broken(*_, **__):
        raise ZeroDivisionError("division by zero, on purpose")

    for part in parts:
        module, name = PARTS[part]
        if part == "figure avb-figure-6":
            monkeypatch.setitem(figures.KINDS, "latent_scatter", broken)
        else:
            monkeypatch.setattr(module, name, broken)
    text, failed = render()
    assert set(parts) <= set(failed)
    assert text.count("division by zero, on purpose") >= len(parts)
    for other in {"table avb-table-1", "figure avb-figure-6"} - set(parts):
        assert f'id="{other.split()[1]}"' in text
    for name in ("avb-table-1.html", "avb-table-1.md", "avb-figure-1.png", "avb-figure-6.png", "index.html"):
        assert (SELECTION / name).exists()


def test_a_frame_that_lacks_a_run_still_gives_a_page(here):
    path = here / "results/smoke/results.parquet"
    table = collect.read_frame(path)
    collect.write_frame(path, table[table.run != "vae-4-point"])
    text, failed = render()
    assert not failed
    assert 'id="run-vae-4-point"' in text


def test_a_damaged_record_is_a_failed_cell(here):
    suite = Suite("smoke", None, ONLY)
    for name in ("vae-4-point/seed0/run.json", "avb-4-point/seed0/log_likelihood.json"):
        path = here / "results/smoke" / name
        path.write_text(path.read_text()[:-20])
    found = collect.collect(suite)
    lost = found[found.status == "failed"]
    assert ("avb-4-point", "log_likelihood") in set(zip(lost.run, lost.metric, strict=True))
    assert set(found[found.run == "vae-4-point"].train_status) == {"failed"}
    assert "damaged" in lost.reason.iloc[0]
    assert main(["verdict", "--profile", "smoke", "--only", *ONLY]) == 1


def test_two_spreads_of_zero_decide_nothing():
    assert spread_test(Seeds.of([1.0, 1.0, 1.0]), Seeds.of([2.0, 2.0, 2.0])) == (1.0, 1.0)


def test_an_earlier_page_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "reports" / "quick"
    with staged(target) as folder:
        for name in ("index.html", "old.md"):
            (folder / name).write_text("first")
        write(folder / "files.json", Rendered(files={"index.html": "", "old.md": ""}))
    (target / "of the user.txt").write_text("kept")
    with pytest.raises(KeyError), staged(target) as folder:
        (folder / "index.html").write_text({}["second"])
    assert (target / "index.html").read_text() == "first"
    with pytest.raises(WriteError, match="cannot be written"), staged(target) as folder:
        raise OSError(28, "No space left on device", str(folder / "index.html"))
    with staged(target) as folder:
        (folder / "index.html").write_text("third")
    assert (target / "index.html").read_text() == "third"
    assert not (target / "old.md").exists()
    assert (target / "of the user.txt").exists()
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["quick"]


def test_a_full_disk_is_no_fault_of_a_part():
    faults = Faults()

    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        faults.attempt("a", full, None)
    assert not faults.found


@pytest.mark.parametrize("record", ["{}", "[]", "x", '{"status": "ok"}', "odd specification", "odd rate"])
def test_an_odd_record_anywhere_stops_no_call(tmp_path, monkeypatch, record):
    monkeypatch.chdir(tmp_path)
    suite = Suite("smoke", None, ["avb-table-1"])
    job = suite.jobs["vae-4-point/seed0"]
    sound = RunRecord(
        run="a", seed=0, profile="x", status="ok", specification=job.specification, dataset="4-point", steps=10,
        images_per_second=5.0,
    ).model_dump()  # fmt: skip
    odd = {
        "odd specification": {**sound, "specification": {"train": {"batch_size": 5}}},
        "odd rate": {**sound, "images_per_second": "fast"},
    }
    path = tmp_path / "results/other/a/seed0/run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(odd[record]) if record in odd else record)
    said = announcement(suite, 2, {})
    assert "2 of 2 trainings to do" in said


def test_an_estimate_that_fails_is_a_line(monkeypatch):
    def broken(*_):
        raise KeyError("method")

    monkeypatch.setattr("benchmarks.plan.forecast.plan", broken)
    assert announcement(Suite("smoke", None, ["avb-table-1"]), 2, {}) == "time: unknown (KeyError: 'method')"


def test_two_runs_of_ones_own_on_two_datasets_share_a_table():
    suite = Suite("smoke", None, ["vae-4-point", "vae-mnist-8"])
    rows = []
    for job in suite.jobs.values():
        dataset = job.specification["dataset"]
        for metric in job.metrics:
            result = Result(metric=metric, status="ok", value=1.0, n=500, protocol=f"{dataset}, n=500")
            common = {"run": job.run, "seed": 0, "final": True, "images": 0, "labelled_images": 0}
            rows.append({**common, **result.model_dump()})
    grid = compare.table_cells(suite, pandas.DataFrame(rows), "own-runs", suite.tables["own-runs"])
    assert {cell.protocol for line in grid for cell in line if cell.metric == "elbo"} > {"4-point, n=500"}


def test_a_contract_that_cannot_be_tested_is_a_failed_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "one" / "a.png")
    text = "mine: {like: vae-mnist-8, dataset: 'folder:one'}\n"
    (tmp_path / "mine.yml").write_text(text)
    call = ["contract", "mine", "--profile", "smoke", "--runs", "mine.yml", "--record"]
    assert main(call) == 0
    record = read(tmp_path / "results/smoke/mine/contract.json", Contract)
    assert record.status == "failed"
    assert "at least two are needed" in record.reason
    assert record.failed == [record.reason]


def test_an_error_with_the_signs_of_mathematics_is_drawn_as_it_is(tmp_path):
    figures.save(figures.words(r"failed: ValueError: cannot parse $\foo{ $ here"), "a", tmp_path)
    assert (tmp_path / "a.png").exists()


def test_an_odd_record_of_another_run_is_left_out_of_the_results(here, capsys):
    sound = here / "results/smoke/vae-4-point/seed0"
    for name, change in (("odd", {"specification": {}}), ("other", {"run": "other"})):
        shutil.copytree(sound, here / f"results/smoke/{name}/seed0")
        file = here / f"results/smoke/{name}/seed0/run.json"
        write(file, read(file, RunRecord).model_copy(update=change))
    found = collect.collect(Suite("smoke", None, ONLY))
    assert {"other", "vae-4-point"} <= set(found.run)
    assert "results/smoke/odd/seed0: method: left out" in capsys.readouterr().err.replace("'", "")
