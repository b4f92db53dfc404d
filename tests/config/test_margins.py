"""The margins of the published values, against the differences that the papers conclude from."""

import math
import re
from itertools import chain
from pathlib import Path

import pandas
import pytest
from scipy import stats

FILES = sorted((Path(__file__).parents[2] / "benchmarks" / "papers").glob("*/published.csv"))
HEADER = "paper,table,row,column,value,error,error_of,runs,margin,why,unit,measured,note,approximate"
ROWS = pandas.concat([pandas.read_csv(path, dtype=str, keep_default_na=False) for path in FILES]).to_dict("records")
PUBLISHED = {(row["table"], row["row"], row["column"]): row for row in ROWS}

LOWER, ESTIMATE = "log p(x) >=", "log p(x) ~="
METHODS_ARE_ROWS = {  # (table, column): the pairs of rows that the paper says differ
    ("avb-table-2", ESTIMATE): [
        ("AVB + AC (8-dim)", "AVB (8-dim)"),
        ("VAE (8-dim)", "AVB (8-dim)"),
        ("VAE (8-dim), script decoder", "AVB (8-dim)"),
        ("AVB + AC (8-dim)", "VAE (8-dim)"),
        ("AVB + AC (8-dim)", "VAE (8-dim), script decoder"),
        ("AVB + AC (32-dim)", "VAE (32-dim)"),
        ("AVB + AC (32-dim)", "VAE (32-dim), script decoder"),
    ],
    ("avb-table-2", LOWER): [
        ("AVB + AC (8-dim)", "VAE (8-dim)"),
        ("AVB + AC (8-dim)", "VAE (8-dim), script decoder"),
        ("AVB + AC (32-dim)", "VAE (32-dim)"),
        ("AVB + AC (32-dim)", "VAE (32-dim), script decoder"),
    ],
    ("asvae-table-1", "NLL"): [
        ("AS-VAE", "NF (k=80)"),
        ("AS-VAE-r", "NF (k=80)"),
        ("AS-VAE-r", "AS-VAE"),
        ("AS-VAE-r", "AS-VAE-g"),
        ("AS-VAE", "AS-VAE-g"),
    ],
    ("asvae-table-2", "NLL"): [("AS-VAE-r", "AS-VAE"), ("AS-VAE-r", "AS-VAE-g"), ("AS-VAE", "AS-VAE-g")],
    ("asvae-table-2", "RMSE"): [
        ("AS-VAE", "ALI"),
        ("AS-VAE-r", "ALI"),
        ("AS-VAE-r", "PixelCNN++"),
        ("AS-VAE-r", "AS-VAE"),
        ("AS-VAE-r", "AS-VAE-g"),
        ("AS-VAE", "AS-VAE-g"),
    ],
    ("asvae-table-2", "IS"): [
        ("AS-VAE", "PixelCNN++"),
        ("AS-VAE", "DCGAN"),
        ("AS-VAE", "ALI"),
        ("AS-VAE", "WGAN"),
        ("AS-VAE", "MIX + WGAN"),
        ("MIX + WGAN", "WGAN"),  # concluded in the paper that both are cited from
        ("AS-VAE-g", "AS-VAE"),
        ("AS-VAE-g", "AS-VAE-r"),
        ("AS-VAE", "AS-VAE-r"),
    ],
    ("asvae-table-3", "IS"): [("AS-VAE", "DCGAN"), ("AS-VAE", "PixelCNN++")],
    ("asvae-cost", "seconds an image"): [("AS-VAE", "PixelCNN++")],
    ("asvae-cost", "seconds an epoch"): [("AS-VAE", "PixelCNN++")],
}
METHODS_ARE_COLUMNS = {  # (table, row): the pairs of columns that the paper says differ
    ("avb-table-1", "log-likelihood"): [("AVB", "VAE")],
    ("avb-table-1", "reconstruction error"): [("AVB", "VAE")],
    ("avb-table-1", "ELBO"): [("AVB", "VAE")],
    ("avb-table-1", "KL(q(z)||p(z))"): [("AVB", "VAE")],
    ("avb-table-2", "AVB (8-dim)"): [(LOWER, ESTIMATE)],  # the over-estimated ELBO
    ("avb-table-2", "AVB + AC (32-dim)"): [(LOWER, ESTIMATE)],
    ("unifying-table-2-left", "MNIST"): [("IWGAN", "GAN")],
    ("unifying-table-2-left", "SVHN"): [("IWGAN", "GAN")],
    ("unifying-table-2-left", "CIFAR10"): [("IWGAN", "GAN")],
    ("unifying-table-2-middle", "MNIST"): [("IWCGAN", "CGAN")],
    ("unifying-table-2-middle", "SVHN"): [("IWCGAN", "CGAN")],
    ("unifying-table-2-right", "1%"): [("AASVAE", "SVAE")],
    ("unifying-table-2-right", "10%"): [("AASVAE", "SVAE")],
    ("unifying-table-3", "1%"): [("AA-VAE", "VAE"), ("AA-CVAE", "CVAE"), ("AA-SVAE", "SVAE")],
    ("unifying-table-3", "10%"): [("AA-VAE", "VAE"), ("AA-CVAE", "CVAE"), ("AA-SVAE", "SVAE")],
    ("unifying-table-3", "100%"): [("AA-VAE", "VAE"), ("AA-CVAE", "CVAE")],
    ("unifying-table-4", "1%"): [("AASVAE", "SVAE")],
    ("unifying-table-4", "10%"): [("AASVAE", "SVAE")],
}
DIFFERENT = [
    *(((t, a, c), (t, b, c)) for (t, c), pairs in METHODS_ARE_ROWS.items() for a, b in pairs),
    *(((t, r, a), (t, r, b)) for (t, r), pairs in METHODS_ARE_COLUMNS.items() for a, b in pairs),
]
# the evaluation networks and the cited or merely competitive numbers take part in no difference
NO_DIFFERENCE, NO_COMPARISON = "convention: ", "cannot be compared: "
UNRESOLVED = "the paper's own error is too large for this margin: its number cannot be resolved"
HARD = "the paper's own error is more than a quarter of this margin: its number is hard to resolve"

each_row = pytest.mark.parametrize("row", [pytest.param(row, id=" / ".join(key)) for key, row in PUBLISHED.items()])


def standard_error(row):
    """Of the printed number; None where the paper prints none."""
    if not row["error"]:
        return None
    return float(row["error"]) / (math.sqrt(int(row["runs"])) if row["error_of"] == "runs" else 1)


def test_the_files_have_the_agreed_columns_and_one_row_a_number():
    for path in FILES:
        assert path.read_text().splitlines()[0] == HEADER
    assert len(PUBLISHED) == len(ROWS)


@each_row
def test_every_number_has_a_margin_with_a_reason_or_a_reason_for_none(row):
    assert row["why"]
    assert (float(row["margin"]) > 0) if row["margin"] else row["why"].startswith(NO_COMPARISON)
    assert bool(row["margin"]) != row["why"].startswith(NO_COMPARISON)


@pytest.mark.parametrize(("one", "other"), [pytest.param(*pair, id=" - ".join(map(str, pair))) for pair in DIFFERENT])
def test_no_number_lies_within_the_margin_of_one_that_the_paper_says_differs(one, other):
    one, other = PUBLISHED[one], PUBLISHED[other]
    difference = abs(float(one["value"]) - float(other["value"]))
    for margin in filter(None, (one["margin"], other["margin"])):
        assert difference > float(margin)
        assert difference >= 2 * float(margin) - 1e-9


def test_every_number_takes_part_in_a_difference_or_its_margin_is_a_convention():
    compared = set(chain.from_iterable(DIFFERENT))
    for key, row in PUBLISHED.items():
        assert (key in compared) != row["why"].startswith(NO_DIFFERENCE), key


@each_row
def test_a_margin_is_at_most_half_of_the_difference_that_its_reason_names(row):
    named = re.match(r"(?:convention: )?half of the ([\d.]+)", row["why"])
    assert named is None or float(row["margin"]) <= float(named[1]) / 2 + 1e-9
    times = re.match(r"four times the paper's standard error", row["why"])
    assert times is None or float(row["margin"]) == pytest.approx(4 * float(row["error"]))


@each_row
def test_a_reason_says_where_the_paper_s_own_error_is_too_large_for_the_margin(row):
    error = standard_error(row)
    margin = float(row["margin"] or "inf")
    degrees = int(row["runs"]) - 1 if row["error_of"] == "runs" else math.inf
    cannot = error is not None and stats.t.ppf(0.975, degrees) * error >= margin
    hard = error is not None and not cannot and error > margin / 4 + 1e-9
    assert (UNRESOLVED in row["why"]) == cannot
    assert (HARD in row["why"]) == hard
    if row["error"] and float(row["error"]) > margin:
        assert cannot


@each_row
def test_what_an_error_is_of_is_said_exactly_where_one_is_printed(row):
    assert row["error_of"] in ("images", "runs", "")
    assert bool(row["error_of"]) == bool(row["error"])
    assert row["error_of"] != "runs" or int(row["runs"]) > 1
    assert not row["runs"] or int(row["runs"]) > 0


@each_row
def test_approximate_numbers_are_marked_in_their_own_column(row):
    assert row["approximate"] in ("yes", "")
    assert "approximate" not in row["note"]
