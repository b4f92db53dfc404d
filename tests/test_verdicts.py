"""The verdict's two error rates on simulated cells, and its single decisions."""

from itertools import product

import numpy
import pandas
import pytest

from benchmarks.config import Cell as Address
from benchmarks.report.compare import fill, table_cells
from benchmarks.report.ranking import places
from benchmarks.report.verdicts import Published, judge
from benchmarks.suite import Suite

CELLS = 800
# 0.05 and three standard errors of a rate from CELLS cells
ALLOWED = 0.05 + 3 * (0.05 * 0.95 / CELLS) ** 0.5
SETTINGS = list(product((3, 5, 10), (0.1, 0.375, 1.0), (0.0, 1.0), (True, False)))


def published(value, error=None, text="100.0", note=""):
    return Published(value, error, text, "own", note)


def rates(seeds, evaluation, printed, ours, theirs, rng):
    """Shares of verdicts: seeds of spread 1 around `ours` with a shared evaluation error; `theirs` is one training."""
    counts = {}
    for _ in range(CELLS):
        values = ours + evaluation * rng.standard_normal() + rng.standard_normal(seeds)
        number = theirs + printed_noise(rng, evaluation) if theirs is not None else 0.0
        error = numpy.hypot(1.0, evaluation) if printed else None
        found = judge(published(number, error, f"{number:.9f}"), values, evaluation).verdict
        counts[found] = counts.get(found, 0) + 1 / CELLS
    return counts


def printed_noise(rng, evaluation):
    """One training of the paper's, judged on its own."""
    return numpy.hypot(1.0, evaluation) * rng.standard_normal()


@pytest.mark.parametrize(("seeds", "floor", "evaluation", "printed"), SETTINGS)
def test_a_mean_outside_the_margin_is_seldom_called_reproduced(seeds, floor, evaluation, printed, monkeypatch):
    monkeypatch.setattr(Published, "least_margin", lambda self: floor * 4)
    margin = max((2 if printed else 1.5) * numpy.hypot(1.0, evaluation), floor * 4)
    found = rates(seeds, evaluation, printed, ours=margin, theirs=None, rng=numpy.random.default_rng(seeds))
    assert found.get("reproduced", 0) <= ALLOWED


@pytest.mark.parametrize(("seeds", "floor", "evaluation", "printed"), SETTINGS)
def test_a_faithful_copy_is_seldom_called_not_reproduced(seeds, floor, evaluation, printed, monkeypatch):
    monkeypatch.setattr(Published, "least_margin", lambda self: floor * 4)
    found = rates(seeds, evaluation, printed, ours=0.0, theirs=0.0, rng=numpy.random.default_rng(seeds))
    assert found.get("not reproduced", 0) <= ALLOWED


@pytest.mark.parametrize(
    ("values", "number", "verdict"),
    [
        ([99.9, 100.0, 100.1], published(100.5), "reproduced"),
        ([96.4, 96.5, 96.6], published(100.0), "close"),  # outside the margin of 2, within twice
        ([99.0, 100.0, 101.0], published(100.0), "close"),  # right on average, but the interval exceeds the margin
        ([90.0, 90.1, 90.2], published(100.0), "not reproduced"),
        ([90.0, 90.1, 90.2], published(100.0, error=6.0), "reproduced"),
        ([90.0, 90.1, 90.2], published(100.0, note="approximate"), "close"),
        ([80.0, 95.0], published(100.0, error=1.0), "no verdict"),  # two seeds of such a spread tell nothing
        ([100.0], published(100.0), "no verdict"),
    ],
)
def test_single_verdicts(values, number, verdict):
    assert judge(number, values, 0.0).verdict == verdict


def test_the_margin_follows_the_paper_s_error_and_digits():
    assert judge(published(-90.9, 0.6, "-90.9"), [-90, -91], 0.0).margin == pytest.approx(90.9 * 0.02)
    assert judge(published(-90.9, 1.2, "-90.9"), [-90, -91], 0.0).margin == pytest.approx(2.4)
    assert judge(published(0.165, None, "0.165", "approximate"), [0.165] * 2, 0.0).margin == pytest.approx(0.0165)
    assert judge(published(0.01, None, "0.01"), [0.01, 0.01], 0.0).margin == pytest.approx(0.01)
    assert judge(published(0.01, None, "0.01"), [0.0, 0.1, 0.2], 0.3).margin == pytest.approx(1.5 * 0.1**0.5)


def test_evaluation_error_widens_the_interval_and_is_not_divided_by_the_seeds():
    exact, noisy = ([*(100.0 + 0.1 * numpy.arange(5))],) * 2
    assert judge(published(100.2), exact, 0.0).half_width < 0.2
    assert judge(published(100.2), noisy, 0.5).half_width == pytest.approx(1.96 * 0.505, rel=0.02)


def test_places_are_ranges_where_seeds_do_not_tell():
    clear, near, nearer = [1.0, 1.1, 0.9], [5.0, 5.2, 4.8], [5.1, 4.9, 5.3]
    assert places([clear, near, nearer], higher=True) == ["3", "1–2", "1–2"]
    assert places([clear, near, nearer], higher=False) == ["1", "2–3", "2–3"]
    assert places([[1.0, 1.0], [2.0, 2.0]], higher=True) == ["2", "1"]
    assert places([[1.0, 1.0], [1.0, 1.0]], higher=True) == ["1–2", "1–2"]


def test_equal_methods_are_seldom_told_apart():
    rng = numpy.random.default_rng(0)
    tables = [[list(rng.standard_normal(5)) for _ in range(6)] for _ in range(400)]
    told = sum(set(places(table, higher=True)) != {"1–6"} for table in tables) / len(tables)
    assert told <= 0.05 + 3 * (0.05 * 0.95 / len(tables)) ** 0.5


# --- a bound above an estimate of the same quantity


def results(*rows):
    """(run, metric, seed, value, standard error, n, details) as a frame."""
    names = ("run", "metric", "seed", "value", "standard_error", "n", "details")
    common = {"status": "ok", "final": True, "kind": "", "unit": "nats", "protocol": "p", "images": 0, "warning": ""}
    return pandas.DataFrame([common | dict(zip(names, row, strict=False)) for row in rows])


def warning(run, metric, *rows):
    return fill(Suite("quick"), results(*rows), run, metric, Address(label="l")).warning


VAE, AIS = ("vae-mnist-8", "elbo", 0), ("vae-mnist-8", "ais", 0)


@pytest.mark.parametrize(
    ("high", "low", "n", "marked"),
    [
        ((-23.2, 0.4), (-27.9, 0.3), 128, True),
        ((-23.2, 0.4), (-24.6, 0.3), 128, False),  # within three standard errors, 1.5
        ((-27.9, 0.3), (-23.2, 0.4), 128, False),
        ((-23.2, 0.4), (-27.9, 0.3), 64, False),  # of other images
        ((-23.2, None), (-27.9, 0.3), 128, False),
    ],
)
def test_a_bound_above_its_ais_is_marked_in_both_cells(high, low, n, marked):
    rows = (*VAE, *high, 128), (*AIS, *low, n)
    for metric in ("elbo", "ais"):
        said = warning("vae-mnist-8", metric, *rows)
        assert bool(said) == marked
        assert not marked or said.startswith("elbo says log p(x) >= -23.20, ais -27.90; 3 standard errors are 1.50:")
    assert not warning("vae-mnist-8", "rmse", *rows, ("vae-mnist-8", "rmse", 0, 1.0, 0.1, 128))


def test_ais_that_gave_way_to_its_importance_bound_is_marked_all_the_same():
    details = '{"importance bound": -23.0, "annealed": -27.9, "annealed, standard error": 0.3}'
    gave_way = (*AIS, -23.0, 0.4, 128, details)
    assert warning("vae-mnist-8", "ais", gave_way).startswith(
        "its importance bound says log p(x) >= -23.00, ais -27.90"
    )
    assert "elbo says" in warning("vae-mnist-8", "elbo", gave_way, (*VAE, -23.2, 0.4, 128))
    assert not warning("vae-mnist-8", "ais", (*AIS, -27.5, 0.4, 128, details.replace("-23.0", "-27.5")))


def test_marks_are_of_seeds_and_know_signs_and_units():
    rows = [("vae-mnist-8", metric, seed, value, 0.1, 128) for seed, metric, value in (
        (0, "ais", -27.9), (1, "ais", -27.9), (0, "nll_bound", 23.2), (1, "nll_bound", 28.2),
        (0, "bits_bound", 28.2 / 64 / numpy.log(2)), (1, "bits_bound", 23.2 / 64 / numpy.log(2)),
    )]  # fmt: skip
    assert warning("vae-mnist-8", "nll_bound", *rows).startswith("1 of 2 seeds: nll_bound says log p(x) >= -23.20")
    assert warning("vae-mnist-8", "bits_bound", *rows[:2], *rows[4:]) == ""  # 0.1 bits/dim are 4.4 nats
    sharp = [(*row[:4], 0.001, 128) if row[1] == "bits_bound" else row for row in rows]
    assert warning("vae-mnist-8", "bits_bound", *sharp).startswith("1 of 2 seeds: bits_bound says log p(x) >= -23.20")
    levels = [("asvae-cifar10", *row[1:]) for row in rows]
    assert warning("asvae-cifar10", "nll_bound", *levels) == ""  # masses of bins against a density


def test_a_table_marks_by_what_it_does_not_show():
    suite = Suite("quick")
    table = suite.tables["avb-table-2"]
    run = next(run for _, _, run, metric in suite.cells(table) if metric == "ais")
    bound, estimate = (run, "importance_bound", 0, -23.2, 0.4, 128), (run, "ais", 0, -27.9, 0.3, 128)
    shown = [c for line in table_cells(suite, results(bound, estimate), "avb-table-2", table) for c in line]
    marked = {(cell.run, cell.metric) for cell in shown if "two models" in cell.warning}
    assert (run, "ais") in marked
    assert all(cell_run == run for cell_run, _ in marked)
