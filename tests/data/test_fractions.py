"""Parts of the data, options chosen on validation data, and tables whose every cell is another run."""

import pytest
import torch

from benchmarks.data.fractions import class_balanced, part_of
from benchmarks.errors import SuiteError
from benchmarks.hardware.host import data_root
from benchmarks.jobs import materials, search, training
from benchmarks.plan.suite import Suite
from methods.labels import HIDDEN
from methods.training.checkpoint import read_tensors
from methods.training.minibatches import Images
from methods.training.trainer import Settings, Trainer
from tests.helpers.small import method_of

SUITE = Suite("smoke")


def labelled(n=200, classes=10):
    return Images(
        torch.arange(n * 4, dtype=torch.int64).remainder(256).to(torch.uint8).reshape(n, 1, 2, 2),
        torch.arange(n) % classes,
    )


def test_a_fraction_has_the_same_share_of_every_class():
    images = labelled()
    part = part_of(images, 0.1, "unused", 1)
    assert part.labels is not None
    assert part.labels.bincount().tolist() == [2] * 10
    assert torch.equal(part.pixels, images.pixels[class_balanced(images.labels, 0.1, 1)])
    assert part_of(images, 0.001, "unused", 1).labels.bincount().tolist() == [1] * 10
    rest = part_of(images, 0.1, "unlabelled", 1)
    assert len(rest) == len(images)
    assert int((rest.labels != HIDDEN).sum()) == 20
    assert not torch.equal(class_balanced(images.labels, 0.1, 1), class_balanced(images.labels, 0.1, 2))


def test_a_fraction_that_a_class_cannot_serve_is_one_line():
    rare = Images(torch.zeros(101, 1, 2, 2, dtype=torch.uint8), torch.tensor([0] * 100 + [1]))
    with pytest.raises(SuiteError, match="wants 25 images of class 1, which has 1"):
        part_of(rare, 0.5, "unused", 0)
    with pytest.raises(SuiteError, match="no labels"):
        part_of(Images(torch.zeros(4, 1, 2, 2, dtype=torch.uint8)), 0.5, "unused", 0)


def test_paired_runs_train_on_the_same_images():
    images = labelled()
    chosen = [materials.training_part(SUITE.specification(run), images, 3) for run in ("hu-vae-10", "hu-aavae-10")]
    assert torch.equal(chosen[0].pixels, chosen[1].pixels)
    other = materials.training_part(SUITE.specification("hu-vae-10"), images, 4)
    assert not torch.equal(chosen[0].pixels, other.pixels)


def searched(steps=4):
    specification = SUITE.specification("hu-aavae-10")
    specification["train"] |= {"steps": steps, "validate_every": 2}
    return specification | {"search": {"temperature": [1.0, 5.0]}}


def test_search_keeps_the_best_on_validation_data(tmp_path):
    record = training.train(searched(), 0, "smoke", tmp_path, root=data_root(None))
    assert record.status == "ok", record.reason
    scores = {float(key.split(":")[1].rstrip("}")): value for key, value in record.search_scores.items()}
    assert record.chosen == {"temperature": min(scores, key=scores.get)}
    assert not (tmp_path / "search").exists()
    method = training.load_trained(record, tmp_path, data_root(None), torch.device("cpu"))[0]
    assert method.temperature == record.chosen["temperature"]


def test_a_killed_search_continues_behind_what_is_finished(tmp_path, monkeypatch):
    whole = training.train(searched(), 0, "smoke", tmp_path / "whole", root=data_root(None))
    real, calls = search.play, []

    def interrupted(trainer):
        calls.append(trainer)
        if len(calls) == 2:
            raise training.Interrupted("killed")
        return real(trainer)

    monkeypatch.setattr(search, "play", interrupted)
    with pytest.raises(training.Interrupted):
        training.train(searched(), 0, "smoke", tmp_path / "killed", root=data_root(None))
    again = training.train(searched(), 0, "smoke", tmp_path / "killed", root=data_root(None))
    assert len(calls) == 3  # the first candidate is not trained again
    assert again.weights_sha256 == whole.weights_sha256 or again.search_scores == whole.search_scores


def test_search_without_validation_is_refused():
    suite = Suite("laptop")
    train = suite.runs["hu-aavae-10"].train.model_copy(update={"validate_every": 0, "patience": 0})
    suite.runs["hu-aavae-10"] = suite.runs["hu-aavae-10"].model_copy(update={"profiles": {}, "train": train})
    with pytest.raises(SuiteError, match="search needs train"):
        suite.specification("hu-aavae-10")


def test_smoke_looks_at_validation_data_at_least_once():
    """max_steps cuts validate_every with the steps: without that, early stopping would never look there."""
    for run in ("hu-vae-10", "supervised-1"):
        train = SUITE.train_options(run)
        assert train["validate_every"] == train["steps"] == 12
    assert SUITE.train_options("vae-mnist-8")["validate_every"] == 0


@pytest.mark.parametrize(("scores", "stopped", "kept"), [([1, 5, 6, 7], 8, 2), ([4, 3, 5, 6, 7], 10, 4)])
def test_snapshots_keep_what_validation_would_have_chosen_by_then(tmp_path, scores, stopped, kept):
    method, images, _ = method_of("vae-4-point")
    settings = Settings(20, 4, 1e-2, snapshots=[6, 12], validate_every=2, patience=3)
    seen, left = {}, iter(scores)

    def score(method):
        seen[trainer.step] = {name: tensor.clone() for name, tensor in method.state_dict().items()}
        return float(next(left))

    trainer = Trainer(method, images, settings, tmp_path, 0, validate=score)
    assert trainer.run()["steps"] == stopped
    trainer.finish({})
    assert [path.stem for path in (tmp_path / "snapshots").iterdir()] == ["00000006"]
    for path in (tmp_path / "weights.safetensors", tmp_path / "snapshots" / "00000006.safetensors"):
        tensors = read_tensors(path)[0]
        assert all(torch.equal(tensors[name], tensor) for name, tensor in seen[kept].items())


def test_the_lowest_finite_score_wins():
    nan, inf = float("nan"), float("inf")
    tries = [{"temperature": float(k)} for k in range(4)]
    for scores, best in (([nan, 3.0, 2.0, inf], 2), ([inf, inf, nan, 5.0], 3), ([-inf, 1.0, nan, 2.0], 1)):
        assert search.lowest("mine", tries, scores) == best
    with pytest.raises(SuiteError, match=r"run mine: search: no value has a finite score .*\"temperature\":0.0.*: inf"):
        search.lowest("mine", tries[:2], [inf, nan])


def test_a_search_that_never_looked_chooses_nothing(tmp_path):
    record = training.train(searched(steps=1), 0, "smoke", tmp_path, root=data_root(None))
    assert record.status == "failed"
    assert "run hu-aavae-10: search: no value has a finite score" in record.reason
    assert not record.chosen


def test_an_unsuited_base_is_refused_before_the_dag(tmp_path):
    runs = tmp_path / "mine.yml"
    runs.write_text(
        "mine:\n  method: AdversaryActivated\n  dataset: mnist\n  latent_dim: 2\n"
        "  components:\n    base: {class: GAN, generator: hu-mnist-generator, discriminator: hu-mnist-discriminator,"
        " weighting: equal-weights}\n    discriminator: hu-mnist-discriminator\n"
        "  train: {steps: 2, batch_size: 8, learning_rate: 1.0e-3}\n"
    )
    with pytest.raises(SuiteError, match="AdversaryActivated needs a base with 'draw', but GAN provides sample"):
        Suite("quick", runs)


def test_a_cell_is_addressed_by_its_row_and_column():
    table = SUITE.tables["unifying-table-3"]
    found = {(row.label, column.label): run for row, column, run, _ in SUITE.cells(table)}
    assert found["1%", "AA-CVAE"] == "hu-aacvae-1"
    assert ("100%", "SVAE") not in found
    left = SUITE.tables["unifying-table-2-left"]
    assert {run for *_, run, _ in SUITE.cells(left)} >= {"dcgan-cifar10", "iwgan-cifar10", "gan-mnist"}
