"""A training shorter than the paper's is looked at before its end: has the number stopped moving?"""

import pytest
import torch

from benchmarks.hardware.host import data_root
from benchmarks.jobs import collect, evaluate, training
from benchmarks.plan.suite import Suite
from benchmarks.store import metric_files
from benchmarks.store.records import MetricFile, read
from methods.training.checkpoint import read_tensors

SUITE = Suite("smoke")
RUN = "vae-4-point"


@pytest.mark.parametrize(
    ("profile", "run", "expected"),
    [
        ("smoke", "vae-4-point", 9),
        ("quick", "vae-4-point", 6400),
        ("quick", "avb-4-point", 3600),
        ("quick", "vb-mean-field-eight-schools", 2400),
        ("quick", "vae-mnist-8", None),  # on a stand-in
        ("laptop", "vae-mnist-8", 9600),
        ("laptop", "vb-mean-field-eight-schools", None),  # as long as the paper's
        ("paper", "vae-4-point", None),
    ],
)
def test_the_round_is_at_four_fifths_of_a_reduced_budget_on_the_papers_data(profile, run, expected):
    suite = Suite(profile)
    assert suite.settling_round(run) == expected
    asked = suite.run(run).train.snapshot_every or suite.budget(run).train.get("snapshot_every", 0)
    if not asked:
        assert suite.train_options(run)["snapshots"] == ([] if expected is None else [expected])


def test_full_budgets_are_looked_at_at_their_end_only():
    suite = Suite("paper")
    assert {run for run in suite.wanted if suite.settling_round(run)} == set()
    assert not any("settled_at" in entry for job in suite.jobs.values() for entry in job.metrics.values())


def test_snapshots_that_a_run_asks_for_stay():
    assert Suite("quick").train_options("avb-ac-eight-schools")["snapshots"] == [0, 400, 800, 1200, 1280, 1600]
    assert Suite("quick").train_options("vb-full-rank-eight-schools")["snapshots"] == list(range(0, 3001, 600))


def test_a_training_of_one_round_has_no_round_before_it():
    suite = Suite("smoke")
    suite.profile = suite.profile.model_copy(update={"max_steps": 1})
    assert suite.settling_round(RUN) is None
    assert suite.train_options(RUN)["snapshots"] == []


def settled(suite, run):
    """Metric -> the round before the last at which it is evaluated."""
    return {name: entry["settled_at"] for name, entry in suite.metric_options(run).items() if "settled_at" in entry}


def test_only_what_stands_beside_a_published_value_is_evaluated_there():
    quick = Suite("quick")
    published = ("aggregated_kl_knn", "elbo", "log_likelihood", "reconstruction_error")
    assert settled(quick, RUN) == dict.fromkeys(published, 6400)
    assert "aggregated_kl" in quick.metric_options(RUN)
    for run in quick.wanted:
        assert not settled(quick, run) or quick.dataset_of(run)[0] == quick.run(run).dataset == "4-point"
    laptop = Suite("laptop")
    assert settled(laptop, "avb-mnist-8").keys() == {"adversarial_elbo", "ais"}
    assert settled(laptop, "vae-nf-mnist") == {}  # the paper cites it, with another network
    selection = Suite("laptop", only=["avb-figure-7"])  # shows samples only
    assert settled(selection, "vae-mnist-8") == settled(laptop, "vae-mnist-8") != {}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(record, folder) of a training that keeps the snapshot."""
    folder = tmp_path_factory.mktemp("trained")
    record = training.train(SUITE.specification(RUN), 0, "smoke", folder, root=data_root(None), device_name="cpu")
    assert record.status == "ok", record.reason
    return record, folder


def test_keeping_the_weights_changes_no_training(trained, tmp_path):
    folder = trained[1]
    specification = SUITE.specification(RUN)
    specification["train"] |= {"snapshots": []}
    other = training.train(specification, 0, "smoke", tmp_path, root=data_root(None), device_name="cpu")
    assert other.status == "ok"
    assert not (tmp_path / "snapshots").exists()
    kept, plain = (read_tensors(place / "weights.safetensors")[0] for place in (folder, tmp_path))
    assert kept.keys() == plain.keys()
    assert all(torch.equal(kept[name], plain[name]) for name in kept)
    earlier, metadata = read_tensors(folder / "snapshots" / "00000009.safetensors")
    assert metadata == {"step": 9}
    assert any(not torch.equal(kept[name], earlier[name]) for name in kept)


def evaluated(record, folder, entry, metric="elbo"):
    """The metric's file, computed anew."""
    references = folder / "references"
    trained = evaluate.open_trained(record, folder, data_root(None), references, torch.device("cpu"))
    return evaluate.evaluate_metric(metric, entry, record, folder, trained)


def test_the_metric_is_evaluated_at_both_rounds_and_the_last_is_final(trained):
    record, folder = trained
    job = SUITE.jobs[f"{RUN}/seed0"]
    metrics = {name: job.metrics[name] for name in ("elbo", "aggregated_kl")}
    assert metrics["elbo"]["settled_at"] == 9
    statuses = evaluate.compute(
        metrics, folder, root=data_root(None), references=folder / "references", device_name="cpu"
    )
    assert statuses == {"elbo": "ok", "aggregated_kl": "ok"}
    both = read(folder / "elbo.json", MetricFile).results
    assert [result.step for result in both] == [9, 12]
    assert [result.status for result in both] == ["ok", "ok"]
    assert both[0].value != both[1].value
    assert [result.step for result in read(folder / "aggregated_kl.json", MetricFile).results] == [12]
    alone = evaluated(record, folder, {k: v for k, v in metrics["elbo"].items() if k != "settled_at"})
    assert [(result.step, result.value) for result in alone.results] == [(12, both[1].value)]
    rows = [row for row in collect.rows_of(SUITE, job, folder) if row["metric"] == "elbo"]
    assert [(row["step"], row["final"]) for row in rows] == [(9, False), (12, True)]


def test_a_training_that_ended_before_the_round_has_its_last_number_only(trained):
    record, folder = trained
    early = record.model_copy(update={"steps": 9})
    found = evaluated(early, folder, SUITE.metric_options(RUN)["elbo"])
    assert [result.step for result in found.results] == [9]
    assert metric_files.training_faults(record.model_copy(update={"steps": 8}), folder) == {}


def test_a_damaged_snapshot_is_set_aside_and_made_again(tmp_path):
    record = training.train(SUITE.specification(RUN), 0, "smoke", tmp_path, root=data_root(None), device_name="cpu")
    snapshot = tmp_path / "snapshots" / "00000009.safetensors"
    snapshot.write_bytes(snapshot.read_bytes()[:-8])
    with pytest.raises(evaluate.SuiteError, match="the next call trains again"):
        evaluated(record, tmp_path, SUITE.metric_options(RUN)["elbo"])
    assert snapshot in metric_files.training_faults(record, tmp_path)


def test_a_search_keeps_the_snapshot_of_the_best(tmp_path):
    specification = SUITE.specification("hu-aavae-10") | {"search": {"temperature": [1.0, 5.0]}}
    specification["train"] |= {"steps": 4, "validate_every": 2, "snapshots": [3]}
    record = training.train(specification, 0, "smoke", tmp_path, root=data_root(None), device_name="cpu")
    assert record.status == "ok", record.reason
    assert read_tensors(tmp_path / "snapshots" / "00000003.safetensors")[1] == {"step": 3}
    assert metric_files.training_faults(record, tmp_path, contents=True) == {}
