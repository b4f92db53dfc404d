"""What is declared to a scheduler covers what finished jobs have used."""

import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from benchmarks.plan.resources import LONGEST_MINUTES, limits, units
from benchmarks.plan.suite import Suite

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "reports" / "published" / "laptop" / "results.csv"


def test_limits_cover_every_job_of_the_published_laptop_profile():
    suite = Suite("laptop")
    frame = pandas.read_csv(PUBLISHED)
    frame = frame[(frame.train_status == "ok") & frame.run.isin(suite.wanted)]
    assert frame.run.nunique() > 30
    for (run, seed), rows in frame.groupby(["run", "seed"]):
        declared = limits(suite.specification(run), suite.dataset_of(run)[1])
        first = rows.iloc[0]
        assert declared.mem_mb > 1.25 * first.peak_memory_mib, (run, seed)
        assert 60 * declared.runtime > 1.25 * (first.seconds + rows.evaluation_seconds.sum()), (run, seed)


def test_limits_grow_with_what_makes_a_job_larger():
    suite = Suite("laptop")
    specification, dataset = suite.specification("vae-mnist-8"), suite.dataset_of("vae-mnist-8")[1]
    base = limits(specification, dataset)

    def changed(**train):
        return limits({**specification, "train": {**specification["train"], **train}}, dataset)

    assert changed(batch_size=10 * specification["train"]["batch_size"]).mem_mb > base.mem_mb
    assert changed(steps=3 * specification["train"]["steps"]).runtime > base.runtime
    assert changed(steps=10**9).runtime == LONGEST_MINUTES
    assert changed(snapshots=list(range(200))).disk_mb > base.disk_mb
    assert limits({**specification, "search": {"tau": [1, 2, 3]}}, dataset).runtime > base.runtime


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ({"class": "a:B", "hidden": [300, 300], "activation": "relu"}, 600),
        ({"class": "a:B", "body": {"class": "a:C", "channels": [16, 32], "strides": [2, 2], "hidden": [128]}}, 176),
        ({"class": "a:B", "copies": 3, "hidden": [64], "bias": True, "rate": 0.5}, 192),
    ],
)
def test_units_are_widths_and_channels(component, expected):
    assert units(component) == expected


def test_limits_need_no_torch():
    code = "import sys, benchmarks.plan.resources, benchmarks.hardware.gpu_lease; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
