"""What a seed gives all runs on one dataset: initial weights of equal parts, order of the data, noise."""

import pytest
import torch

from benchmarks.hardware.host import data_root
from benchmarks.jobs import materials, search, training
from benchmarks.plan.suite import Suite
from methods.networks.build import Starts, build_method
from tests.helpers.small import SUITE, images_of

MINE = """
import torch
from torch import nn
from methods.svae import SVAE
from methods.networks.bodies import MLP


class Mine(SVAE):
    paper = "mine"
    equations = "1"
    player_names = ("model",)


class Body(MLP):
    pass
"""


def initial(run, seed=0, suite=SUITE, **changes):
    """Initial weights of a run of the smoke profile, by name."""
    specification = suite.specification(run) | changes
    return materials.build(specification, images_of(run), None, seed).state_dict()


def part(weights, prefix):
    """The tensors of one part that are drawn at random, by their names in it."""
    found = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
    return {n: t for n, t in found.items() if t.is_floating_point() and t.unique().numel() > 1}


def assert_equal(one, other):
    assert one
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def assert_apart(one, other):
    assert one
    assert one.keys() == other.keys()
    assert not any(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("run", "other", "parts"),
    [
        ("gan-mnist", "iwgan-mnist", {"decoder.": "decoder.", "discriminator.": "discriminator."}),
        ("vae-4-point", "avb-4-point", {"decoder.": "decoder."}),
        ("avb-4-point", "avb-ac-4-point", {"encoder.": "encoder.", "decoder.": "decoder.", "adversary.": "adversary."}),
        ("hu-vae-1", "hu-aavae-1", {"encoder.": "base.encoder.", "decoder.": "base.decoder."}),
        ("hu-vae-1", "hu-vae-10", {"encoder.": "encoder.", "decoder.": "decoder."}),
        ("hu-svae-10", "hu-aasvae-10", {"network.": "base.network.", "head.": "base.head."}),
    ],
)
def test_equal_parts_of_two_methods_begin_equal(run, other, parts):
    one, two = initial(run), initial(other)
    for here, there in parts.items():
        assert_equal(part(one, here), part(two, there))


def test_the_options_of_the_method_change_no_initial_weights():
    one, other = (initial("hu-aavae-1", options={"temperature": value}) for value in (1.0, 5.0))
    assert_equal(part(one, ""), part(other, ""))


@pytest.mark.parametrize("run", ["gan-mnist", "hu-aasvae-10", "mix-wgan-cifar10"])
def test_seeds_begin_apart_and_each_begins_the_same_again(run):
    assert_apart(part(initial(run, 0), ""), part(initial(run, 1), ""))
    assert_equal(part(initial(run, 1), ""), part(initial(run, 1), ""))


def test_datasets_begin_apart():
    specification, images = SUITE.specification("gan-mnist"), images_of("gan-mnist")
    one, other = (
        materials.build(specification | {"dataset": name}, images, None, 0).state_dict() for name in ("a", "b")
    )
    assert_apart(part(one, ""), part(other, ""))


def test_equal_networks_in_two_roles_begin_apart():
    specification = SUITE.specification("asvae-mnist")
    assert specification["components"]["critic_r"] == specification["components"]["critic_g"]
    weights = initial("asvae-mnist")
    assert_apart(part(weights, "critic_r."), part(weights, "critic_g."))


def test_copies_begin_apart():
    weights = initial("mix-wgan-cifar10")
    for role in ("generators", "critics"):
        copies = [part(weights, f"{role}.{number}.") for number in range(3)]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert_apart(copies[one], copies[other])


def test_a_part_of_a_nested_method_and_one_of_the_same_role_outside_begin_apart():
    """A role's path begins anew in a nested method: equal parts at equal paths are counted."""
    begun = []
    starts = Starts(lambda part: begun.append(part) or 0)
    for role in ("discriminator", "encoder", "discriminator"):
        starts.begin(role, {"class": "methods.networks.bodies:MLP", "hidden": [3]})
    assert len(set(begun)) == 3


def started(run, folder, monkeypatch, seed=0):
    """(first minibatch's images, state of the random numbers) with which a training of the run begins."""
    found = []

    def look(trainer):
        found.append((next(trainer.batches).x, torch.get_rng_state()))
        raise training.Interrupted("seen")

    monkeypatch.setattr(search, "play", look)
    specification = SUITE.specification(run)
    specification["train"] |= {"batch_size": 16}
    with pytest.raises(training.Interrupted):
        training.train(specification, seed, "smoke", folder, root=data_root(None))
    return found[0]


@pytest.mark.parametrize(("run", "other"), [("gan-mnist", "iwcgan-mnist"), ("hu-vae-1", "hu-aavae-1")])
def test_runs_on_one_dataset_see_the_same_minibatches_and_noise(run, other, tmp_path, monkeypatch):
    one, two = started(run, tmp_path / "one", monkeypatch), started(other, tmp_path / "two", monkeypatch)
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    next_seed = started(run, tmp_path / "next", monkeypatch, seed=1)
    assert not torch.equal(one[0], next_seed[0])
    assert not torch.equal(one[1], next_seed[1])


def test_a_users_method_begins_as_the_one_that_it_extends_wherever_its_file_lies(tmp_path):
    found = []
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        (folder / "mine.py").write_text(MINE)
        runs = folder / "mine.yml"
        runs.write_text(
            "mine:\n  like: hu-svae-10\n  method: mine.py:Mine\n"
            "other:\n  like: hu-svae-10\n  components: {network: {class: mine.py:Body, hidden: [16]}}\n"
        )
        suite = Suite("smoke", runs)
        specifications = {name: suite.specification(name) for name in ("mine", "other")}
        images = images_of("hu-svae-10")
        found.append({n: materials.build(s, images, None, 0).state_dict() for n, s in specifications.items()})
    for name in ("mine", "other"):
        assert_equal(part(found[0][name], ""), part(found[1][name], ""))
    assert_equal(part(found[0]["mine"], ""), part(initial("hu-svae-10"), ""))


def test_without_seeds_a_method_takes_the_next_random_numbers():
    specification, shape = SUITE.specification("gan-mnist"), images_of("gan-mnist").x_shape
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(part(build_method(specification, shape).state_dict(), ""))
    assert_equal(weights[0], weights[1])
    assert_apart(weights[0], weights[2])
