"""Bounds, intervals and modes: how tables, claims and places take numbers of which only a part is known."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy
import pandas
import pytest
import torch
from scipy import stats

from benchmarks.config.models import Cell as Address
from benchmarks.config.models import Claim
from benchmarks.config.published import Published
from benchmarks.metrics import mode_share
from benchmarks.metrics.mode_share import modes
from benchmarks.metrics.trained import Trained
from benchmarks.plan.suite import Suite
from benchmarks.posteriors import EightSchools
from benchmarks.report import tables
from benchmarks.report.compare import fill, judge, rank
from benchmarks.statistics import claims

CPU = torch.device("cpu")


# --- modes


def test_two_modes_one_mode_and_one_blob():
    posterior = EightSchools().exact_draws(100_000, torch.Generator().manual_seed(0))[:, 1].numpy()
    random = numpy.random.default_rng(0)
    found = modes(posterior)
    assert found["mass within 0.1 of tau = 0"] == pytest.approx(0.0302, abs=0.002)
    assert found["excess mass of the smaller mode"] == pytest.approx(0.2741, abs=0.006)
    blob, one = modes(0.35 * random.normal(size=10_000)), modes(abs(posterior[:10_000]))
    assert blob["smaller share"] > 0.48  # which was taken for both modes
    for missed in (blob, one):
        assert missed["excess mass of the smaller mode"] < 0.005


def test_a_blob_is_not_both_modes_for_the_claim():
    suite = Suite("quick")
    claim = suite.claims["avb-finds-both-modes"]

    def verdict(*values):
        rows = [
            {"run": claim.value.run, "metric": "mode_share", "seed": s, "value": v, "status": "ok", "final": True}
            | {"details": "{}", "low": None, "high": None, "standard_error": 0.01}
            for s, v in enumerate(values)
        ]
        outcome = claims.measure("c", claim, pandas.DataFrame(rows).astype({"low": float, "high": float}))
        return outcome.p_for, outcome.p_against

    assert verdict(0.0, 0.001, 0.0)[0] > 0.99
    assert verdict(0.27, 0.26, 0.275)[0] < 0.01


# --- intervals and bounds in the report


def frame(rows):
    columns = {"status": "ok", "final": True, "details": "{}", "low": None, "high": None, "standard_error": 0.01}
    columns |= {"kind": "estimate", "unit": "nats", "protocol": "p", "n": 10, "warning": "", "reason": "", "images": 0}
    return pandas.DataFrame([columns | row for row in rows]).astype({"low": float, "high": float})


KL = {"metric": "kl_to_posterior"}


def outcome_of(greater, than):
    """p values of greater > than, each a list of (value, low, high)."""
    rows = [
        {"run": run, "seed": seed, "value": value, "low": low, "high": high, **KL}
        for run, values in (("one", greater), ("other", than))
        for seed, (value, low, high) in enumerate(values)
    ]
    claim = Claim(
        paper="p",
        source="s",
        family="f",
        sentence="s",
        greater={"run": "one", **KL},
        than={"run": "other", **KL},  # type: ignore[arg-type]
    )
    return claims.measure("c", claim, frame(rows))


def test_claims_count_the_less_favourable_end():
    points = [(1.5, None, None), (1.52, None, None), (1.48, None, None)]
    below = [(0.9, 0.7, 1.1), (0.92, 0.72, 1.12), (0.88, 0.68, 1.08)]
    wide = [(0.9, 0.2, 1.6), (0.92, 0.22, 1.62), (0.88, 0.18, 1.58)]
    assert outcome_of(points, below).p_for < 0.01
    assert outcome_of(points, wide).p_for > 0.5
    assert outcome_of(points, wide).p_against > 0.5
    assert outcome_of(points, wide).effect == pytest.approx(0.6)
    reach = outcome_of(points, below)
    half = stats.t.ppf(0.975, 4) * (2 * 0.02**2 / 3) ** 0.5
    assert (reach.low, reach.high) == (pytest.approx(0.4 - half), pytest.approx(0.8 + half))


def test_a_lower_bound_decides_only_what_it_can():
    points = [(1.0, None, None), (1.01, None, None), (0.99, None, None)]
    bound = [(2.0, 2.0, None), (2.01, 2.01, None), (1.99, 1.99, None)]
    assert outcome_of(bound, points).p_for < 0.01  # the truth is above the bound
    found = outcome_of(points, bound)
    assert found.p_for > 0.99
    assert found.p_against < 0.01
    low = [(0.5, 0.5, None), (0.51, 0.51, None), (0.49, 0.49, None)]
    found = outcome_of(points, low)  # it may be anywhere above 0.5
    assert min(found.p_for, found.p_against) > 0.99
    assert found.verdict == "undecided"
    assert math.isinf(found.low)


def test_cells_show_intervals_and_bounds_and_judge_no_bound():
    suite = Suite("quick")
    run = "vae-4-point"
    rows = [{"run": run, "metric": "aggregated_kl", "seed": s, "value": 0.3, "low": 0.25, "high": 0.35} for s in (0, 1)]
    cell = fill(suite, frame(rows), run, "aggregated_kl", Address(label="l"))
    assert (cell.low, cell.high, cell.mark) == (pytest.approx(0.25), pytest.approx(0.35), "≈")
    assert "between 0.2500 and 0.3500" in tables.ours(cell)
    assert cell.half_width is not None
    rows[1] |= {"low": 0.3, "high": None, "kind": "lower bound", "warning": "not resolved"}
    cell = fill(suite, frame(rows), run, "aggregated_kl", Address(label="l"))
    assert (cell.mark, cell.high, cell.warning) == ("≥", None, "1 of 2 seeds: not resolved")
    assert (cell.mean, cell.spread, cell.half_width) == (pytest.approx(0.275), None, None)
    cell.published = Published(0.3, "0.3", margin=0.1, why="a test")
    assert judge(cell, Address(label="l")) == "no verdict"
    assert "not resolved" in tables.ours(cell)
    others = [replace(cell, run=f"r{k}", values={0: 1.0, 1: 1.1}, tie="") for k in range(2)]
    rank(suite, frame(rows), others)
    assert [c.tie for c in others] == ["", ""]


def test_mode_share_measures_the_draws(tmp_path):
    method: Any = SimpleNamespace(encode=lambda x: torch.randn(len(x), 10) + 3 * torch.randn(len(x), 1).sign())
    found = mode_share.evaluate(Trained(method, 10, "eight-schools", None, None, tmp_path, tmp_path, CPU))
    assert found.value > 0.4
    assert found.standard_error < 0.02
