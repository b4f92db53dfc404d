"""`plan`: estimates beside what was measured in the published runs of profile laptop, and what is counted."""

import json
from pathlib import Path

import numpy
import pandas
import pytest

from benchmarks.cli.main import main
from benchmarks.hardware.host import processor
from benchmarks.plan.estimates import Estimator, work
from benchmarks.plan.forecast import plan
from benchmarks.plan.suite import Suite
from benchmarks.store.records import MetricFile, Result, RunRecord, write

PUBLISHED = Path(__file__).parents[2] / "reports" / "published" / "laptop" / "results.csv"
LAPTOP = Suite("laptop")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Records of the published runs whose training is as the laptop profile still has it, as of this machine."""
    folder = tmp_path_factory.mktemp("finished")
    frame = pandas.read_csv(PUBLISHED)
    frame = frame[(frame.train_status == "ok") & frame.final]
    for (run, seed), rows in frame.groupby(["run", "seed"]):
        job = LAPTOP.jobs.get(f"{run}/seed{seed}")
        row = rows.iloc[0]
        if (
            job is None
            or job.specification["train"]["steps"] != row.steps
            or row.dataset != job.specification["dataset"]
        ):
            continue
        place = folder / "laptop" / job.folder
        record = RunRecord(
            run=job.run, seed=job.seed, profile="laptop", status="ok", specification=job.specification,
            dataset=row.dataset, steps=row.steps, seconds=row.seconds, images_per_second=row.images_per_second,
            device="cpu", hardware=processor(),
        )  # fmt: skip
        write(place / "run.json", record)
        for _, cell in rows[rows.status == "ok"].iterrows():
            result = Result(metric=cell.metric, status="ok", value=0.0, seconds=cell.evaluation_seconds)
            write(place / f"{cell.metric}.json", MetricFile(key="", results=[result]))
    return folder


def factors(estimator, keep):
    """Estimated over measured seconds of each recorded training, from the records for which keep(speed, record)."""
    found, everything = [], estimator.speeds
    for speed in everything:
        job = LAPTOP.jobs[f"{speed.run}/seed0"]
        estimator.speeds = [other for other in everything if keep(other, speed)]
        guess = estimator.training(job)
        images = job.specification["train"]["steps"] * job.specification["train"]["batch_size"]
        if guess.source != "unknown":
            found.append(guess.seconds / (images * speed.seconds))
    estimator.speeds = everything
    return numpy.abs(numpy.log(found))


def test_estimates_are_near_what_was_measured(finished):
    estimator = Estimator(LAPTOP, [processor()], finished)
    assert len(estimator.speeds) > 20
    own = factors(estimator, lambda other, speed: True)
    assert numpy.exp(numpy.quantile(own, 0.9)) < 1.7  # the seeds of a run, on a machine that does other things too
    scaled = factors(estimator, lambda o, s: o.specification["components"] != s.specification["components"])
    assert len(scaled) > 10
    assert numpy.exp(numpy.median(scaled)) < 2
    assert numpy.exp(numpy.quantile(scaled, 0.9)) < 6  # some of these records were made under heavy load


def test_the_whole_is_near_the_sum_of_what_was_measured(finished):
    estimator = Estimator(LAPTOP, [processor()], finished)
    frame = pandas.read_csv(PUBLISHED).drop_duplicates(["run", "seed"]).set_index(["run", "seed"])
    known = [LAPTOP.jobs[str(p.parent.relative_to(finished / "laptop"))] for p in finished.glob("*/*/*/run.json")]
    measured = sum(frame.seconds[job.run, job.seed] for job in known)
    assert sum(estimator.training(job).seconds for job in known) == pytest.approx(measured, rel=0.2)


def test_other_machines_records_tell_nothing(finished):
    estimator = Estimator(LAPTOP, ["another processor"], finished)
    job = LAPTOP.jobs["vae-mnist-8/seed0"]
    assert (estimator.training(job).source, estimator.metric(job, "elbo").source) == ("unknown", "unknown")


def test_work_grows_with_the_networks():
    small, large = (
        {s: Suite(s).specification("vae-mnist-8") for s in ("quick", "paper")}[s] for s in ("quick", "paper")
    )
    assert work(large, (1, 28, 28)) > 100 * work(small, (1, 8, 8))
    dense = {"latent_dim": 2, "components": {"e": {"class": "m:MLP", "hidden": [3, 5]}}}
    assert work(dense, (1, 2, 2)) == 4 + 4 * 3 + 3 * 5


def test_the_plan_counts_jobs_and_says_from_what_it_was_estimated(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    suite = Suite("quick", None, ["unifying-aae"])
    assert "time: unknown" in plan(suite).time(1)
    job = suite.jobs["vae-mnist-8/seed0"]
    train, n = job.specification["train"], len(job.metrics)
    record = RunRecord(
        run=job.run, seed=0, profile="quick", status="ok", specification=json.loads(json.dumps(job.specification)),
        dataset=job.specification["dataset"], steps=train["steps"], images_per_second=100.0,
        hardware=processor(), device="cpu",
    )  # fmt: skip
    write(tmp_path / "results/quick/vae-mnist-8/seed0/run.json", record)
    found = plan(suite)
    seconds = train["steps"] * train["batch_size"] / 100
    assert [(t.name, t.training.source) for t in found.todo] == [
        ("aae-mnist/seed0", "unknown"),
        ("vae-mnist-8/seed0", "this run"),
    ]
    assert found.wall(1) == found.wall(8) == pytest.approx(seconds)  # one training cannot be shared out
    assert main(["plan", "--only", "unifying-aae,aae-mnist", "--cores", "2", "--all"]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 trainings to do, 2 of 2 evaluations" in said
    assert "and an unknown time for 1 of the trainings" in said
    assert "trainings: 1 from this run, 1 unknown" in said
    assert f"vae-mnist-8/seed0: training this run, {n} metrics" in said
