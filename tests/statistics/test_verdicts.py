"""The verdict's error rates and power on simulated cells, its single decisions, places, and marks of bounds."""

import math
from itertools import product

import numpy
import pandas
import pytest

from benchmarks.config.models import Cell as Address
from benchmarks.config.published import Published, published_values
from benchmarks.plan.suite import Suite
from benchmarks.report.compare import Cell, fill, table_cells
from benchmarks.statistics.inference import Seeds
from benchmarks.statistics.rankings import places
from benchmarks.statistics.simulate import NOISES, SEEDS, verdict_rates
from benchmarks.statistics.verdicts import half_width, judge, paper_error

CELLS = 2000
SETTINGS = list(product(NOISES, SEEDS, (0.1, 1 / 3, 0.5), (None, 0.2), (False, True)))


def allowed(share=0.05, cells=CELLS):
    """The share and three standard errors of a rate from so many cells."""
    return share + 3 * (share * (1 - share) / cells) ** 0.5


def published(value, error=None, margin=1.0, **others):
    return Published(value, str(value), error, "images" if error else "", margin=margin, why="a test", **others)


@pytest.mark.parametrize(("kind", "seeds", "spread", "error", "images"), SETTINGS)
def test_a_truth_one_margin_off_is_seldom_called_reproduced(kind, seeds, spread, error, images):
    random = numpy.random.default_rng(seeds)
    for side in (-1.0, 1.0):
        rates = verdict_rates(CELLS, kind, seeds, spread, side, error, random, spread if images else 0.0)
        assert rates["reproduced"] <= allowed()


@pytest.mark.parametrize(("kind", "seeds", "spread", "error", "images"), [*SETTINGS, ("collapse", 3, 1.0, None, False)])
def test_a_perfect_copy_is_seldom_called_not_reproduced(kind, seeds, spread, error, images):
    random = numpy.random.default_rng(seeds)
    rates = verdict_rates(CELLS, kind, seeds, spread, 0.0, error, random, spread if images else 0.0)
    assert rates["not reproduced"] <= allowed()


@pytest.mark.parametrize("error", [None, 0.2, 0.05])
def test_a_perfect_copy_of_five_seeds_is_reproduced(error):
    rates = verdict_rates(1000, "Gauss", 5, 1 / 3, 0.0, error, numpy.random.default_rng(0))
    assert rates["reproduced"] >= 0.8


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.1), (3, 1 / 3), (5, 1 / 3), (10, 1.0)])
def test_a_copy_that_is_off_by_three_margins_is_not_close(seeds, spread):
    rates = verdict_rates(CELLS, "Gauss", seeds, spread, 3.0, None, numpy.random.default_rng(1))
    assert rates["reproduced"] == 0
    assert rates["close"] <= allowed(0.025)


def test_noise_of_our_own_never_buys_favour():
    noisy = verdict_rates(CELLS, "Gauss", 5, 3.0, 3.0, None, numpy.random.default_rng(2))
    assert noisy["reproduced"] + noisy["close"] <= allowed(0.01)
    assert noisy["imprecise"] >= 0.9


@pytest.mark.parametrize(
    ("values", "number", "verdict"),
    [
        ([99.9, 100.0, 100.1], published(100.2, margin=1.0), "reproduced"),
        ([98.55, 98.6, 98.65], published(100.0, margin=1.0), "close"),
        ([95.0, 95.1, 95.2], published(100.0, margin=1.0), "not reproduced"),
        ([97.0, 100.0, 103.0], published(100.0, margin=1.0), "imprecise"),
        ([99.9, 100.0, 100.1], published(100.2, error=2.0, margin=1.0), "imprecise"),
        ([99.9, 100.0, 100.1], published(100.2, margin=None), "no verdict"),
        ([100.0], published(100.0), "no verdict"),
        ([100.0, 100.0, 100.0], published(100.0), "no verdict"),  # no independent trainings
    ],
)
def test_single_verdicts(values, number, verdict):
    assert judge(number, values).verdict == verdict


@pytest.mark.parametrize("value", [0.1, -90.9, 0.7, -1.403, 8.34])
def test_equal_seeds_are_no_independent_trainings_whatever_their_rounding(value):
    for seeds in (2, 3, 6, 10):
        assert judge(published(value), [value] * seeds).verdict == "no verdict"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_has_no_verdict(value):
    found = judge(published(1.0), [1.0, 1.1, value])
    assert (found.verdict, found.reason) == ("no verdict", "a seed has a value that is not finite")


def test_a_paper_s_spread_over_five_runs_is_itself_uncertain():
    random = numpy.random.default_rng(8)
    wrong = 0
    for _ in range(CELLS):
        theirs = 0.8 * random.standard_normal(5)
        number = Published(theirs.mean(), "", theirs.std(ddof=1), "runs", 5, 1.0, "simulated")
        wrong += judge(number, list(1 + 0.1 * random.standard_normal(10))).verdict == "reproduced"
    assert wrong / CELLS <= allowed(0.025)


def test_a_copy_that_is_off_by_three_margins_is_found():
    rates = verdict_rates(CELLS, "Gauss", 5, 1 / 3, 3.0, None, numpy.random.default_rng(3), one_training=True)
    assert rates["not reproduced"] >= 0.8


def test_one_training_of_the_paper_is_seldom_called_wrong():
    for kind, seeds in product(NOISES, SEEDS):
        random = numpy.random.default_rng(seeds)
        for side in (-1.0, 1.0):
            rates = verdict_rates(CELLS, kind, seeds, 1 / 3, side, None, random, one_training=True)
            assert rates["not reproduced"] <= allowed()


def test_the_margin_is_the_one_stated_whatever_our_noise():
    for values in ([1.0, 1.0], [0.0, 1.0, 5.0]):
        assert judge(published(1.0, margin=0.3), values).margin == 0.3


def test_survivors_do_not_reproduce_a_number_but_can_miss_it():
    good, bad = [99.9, 100.0, 100.1], [80.0, 80.1, 80.2]
    assert judge(published(100.0), good, failed=1).verdict == "no verdict"
    assert judge(published(100.0), good, failed=1).reason == "1 of 4 seeds failed"
    assert judge(published(100.0), bad, failed=1).verdict == "not reproduced"


def test_an_imprecise_cell_says_what_would_tell():
    noisy = [99.2, 100.0, 100.8]
    assert "about 22 seeds would tell" in judge(published(100.0), noisy).reason
    outside = judge(published(100.0), [97.4, 97.7, 98.0]).reason  # where one training may be as far off
    assert "about 5 seeds would tell" in outside
    unlucky = judge(published(100.0), [97.0, 98.0, 99.0]).reason
    assert "the paper's one training may have been an unlucky one" in unlucky
    images = judge(published(100.0), [99.99, 100.0, 100.01], 2.0, images=128).reason
    assert "test images would tell, of which 128 were used" in images
    assert "the paper's own error is too large" in judge(published(100.0, error=2.0), noisy).reason


def test_equal_seeds_of_an_accuracy_have_the_spread_of_a_step():
    assert judge(published(99.0, margin=0.5), [99.0, 99.0, 99.0], step=1.0).verdict == "imprecise"
    assert judge(published(99.0, margin=0.5), [99.0, 99.0, 99.0], step=0.01).verdict == "reproduced"


def test_the_paper_s_error_is_of_its_mean():
    assert paper_error(published(1.0, error=0.6)) == (0.6, math.inf)
    of_runs = Published(8.34, "8.34", 0.03, "runs", 5, 0.055, "a test")
    assert paper_error(of_runs) == pytest.approx((0.03 / 5**0.5, 4))
    assert paper_error(published(1.0, margin=0.4)) == pytest.approx((0.1, math.inf))
    assert paper_error(published(1.0, margin=0.4), spread=0.5) == pytest.approx((0.3, math.inf))


def test_the_error_of_common_images_is_not_divided_by_the_seeds():
    assert half_width(0.1, 5) == pytest.approx(2.776 * 0.1 / 5**0.5, rel=1e-3)
    assert half_width(0.1, 5, images_error=0.5) == pytest.approx(1.96 * (0.5**2 + 0.1**2 / 5) ** 0.5, rel=1e-2)


def test_another_method_s_number_is_not_reproduced_where_the_paper_claims_a_difference():
    """Exact copies of one number of a column, judged against another: the pairs of tests/config/test_margins.py."""
    from tests.config.test_margins import DIFFERENT

    values = published_values()
    for one, other in DIFFERENT:
        for ours, theirs in ((one, other), (other, one)):
            copy = [values[ours].value] * 5
            assert judge(values[theirs], copy, step=1e-9).verdict != "reproduced", (ours, theirs)


def test_the_interval_of_a_cell_is_at_least_that_of_a_step():
    cell = Cell(metric="accuracy", values={0: 94.0, 1: 94.0, 2: 94.0}, spread=0.0, images=256)
    step = 100 / 256
    assert cell.half_width == pytest.approx(4.303 * step / 3**0.5, rel=1e-3)


def test_places_are_ranges_where_seeds_do_not_tell():
    clear, near, nearer = (Seeds.of(values) for values in ([1.0, 1.1, 0.9], [5.0, 5.2, 4.8], [5.1, 4.9, 5.3]))
    assert places([clear, near, nearer], higher=True) == ["3", "1–2", "1–2"]
    assert places([clear, near, nearer], higher=False) == ["1", "2–3", "2–3"]
    steps = [Seeds.of([1.0, 1.0], 0.1), Seeds.of([9.0, 9.0], 0.1), Seeds.of([9.1, 9.1], 0.1)]
    assert places(steps, higher=True) == ["3", "1–2", "1–2"]
    assert places([Seeds.of([1.0, 1.0]), Seeds.of([2.0, 2.0])], higher=True) == ["1–2", "1–2"]  # no trainings at random


def test_equal_methods_are_seldom_told_apart():
    random = numpy.random.default_rng(0)
    tables = [[Seeds.of(random.standard_normal(5)) for _ in range(6)] for _ in range(300)]
    told = sum(set(places(table, higher=True)) != {"1–6"} for table in tables) / len(tables)
    assert told <= allowed(cells=len(tables))


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
