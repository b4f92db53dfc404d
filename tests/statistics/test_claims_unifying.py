"""The claims of AS-VAE and Unifying, and their metrics: closed forms, and what a claim may and may not compare."""

import copy
import csv
import math
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from scipy.special import ndtr
from torch import nn

from benchmarks.config import declarations
from benchmarks.config.declarations import ROOT
from benchmarks.errors import NotRunError
from benchmarks.metrics import (
    class_coverage,
    domain_accuracy,
    inception_coverage,
    weight_of_hard_images,
    weighting_cost,
)
from benchmarks.plan.suite import Suite
from benchmarks.statistics import power
from methods.gan import EqualWeights, ImportanceWeights
from methods.networks.build import build_method
from tests.helpers.controls import digits, images, judge, trained

SUITE = Suite("paper")
CLAIMS = {name: claim for name, claim in SUITE.claims.items() if claim.paper in ("AS-VAE", "Unifying")}
TESTED = {name: claim for name, claim in CLAIMS.items() if not claim.untested}
SHARED_IMAGES = {"mnist-grey": "mnist"}  # grey levels are the probabilities of the bits


def perplexity_ratio(samples: list[int], test: list[int]) -> Any:
    return class_coverage.coverage(numpy.array(samples), numpy.array(test), "", 0.0)


def test_coverage_of_known_classes():
    ten = list(range(10)) * 20
    assert perplexity_ratio(ten, ten).value == pytest.approx(1)
    assert perplexity_ratio([3] * 200, ten).value == pytest.approx(0.1)
    assert perplexity_ratio([0, 1] * 100, ten).value == pytest.approx(0.2)
    assert perplexity_ratio([0, 1] * 100, [0] * 150 + [1] * 50).value > 1  # more even than data
    uneven = perplexity_ratio([0] * 150 + [1] * 50, ten)
    assert uneven.value == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)) / 10)
    assert uneven.details["classes of test images (perplexity)"] == pytest.approx(10)


@pytest.mark.parametrize("p", [(0.7, 0.1, 0.1, 0.1), (0.25,) * 4])
def test_the_error_of_coverage_is_its_spread(p):
    random = numpy.random.default_rng(0)
    test = random.choice(4, 400, p=p)
    found = [perplexity_ratio(list(random.choice(4, 300, p=p)), list(test)) for _ in range(500)]
    of_samples = [(one.standard_error**2 - one.images_error**2) ** 0.5 for one in found]
    assert numpy.std([one.value for one in found]) == pytest.approx(numpy.mean(of_samples), rel=0.3)
    many = [perplexity_ratio(list(test), list(random.choice(4, 400, p=p))) for _ in range(500)]
    assert numpy.std([one.value for one in many]) == pytest.approx(many[0].images_error, rel=0.3)


def test_coverage_ranks_data_above_one_class_and_reports_noise(tmp_path):
    held_out = digits().validation_x
    good = class_coverage.evaluate(images(held_out, tmp_path), n=128)
    one = class_coverage.evaluate(images(held_out[:1].expand_as(held_out), tmp_path), n=128)
    assert abs(good.value - 1) < 0.1
    assert one.value == pytest.approx(1 / float(one.details["classes of test images (perplexity)"]))
    assert one.value < good.controls["noise"] < 1  # the nearest image to noise is of any class
    assert good.controls == one.controls


def test_inceptions_coverage_is_the_same_by_another_judge(tmp_path, monkeypatch):
    held_out = digits().validation_x
    with pytest.raises(NotRunError, match="colour images"):
        inception_coverage.evaluate(images(held_out, tmp_path), n=128)
    asked = []
    monkeypatch.setattr(inception_coverage, "inception_of", lambda trained, download: asked.append(download) or judge())
    found = inception_coverage.evaluate(images(held_out, tmp_path), n=128)
    assert asked == [False]  # nobody downloads 91 MB for it
    assert found.value == class_coverage.evaluate(images(held_out, tmp_path), n=128).value


class Slow(nn.Module):
    """Equal weights, which take their time."""

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = seconds

    def forward(self, logits):
        time.sleep(self.seconds)
        return torch.full_like(logits, 1 / len(logits))


def weighted(weighting: nn.Module) -> Any:
    """A small GAN of digits with this weighting, as a metric sees it."""
    torch.manual_seed(0)
    method: Any = build_method(Suite("smoke").specification("iwgan-mnist"), (1, 8, 8))
    method.weighting = weighting
    return trained(method.eval(), digits())


def test_the_cost_of_weights_is_that_of_their_evaluation(monkeypatch):
    measured = weighting_cost.evaluate(weighted(Slow(0.1)), seconds=0.5)  # many times what a round takes
    assert measured.value > 50

    def seconds_of_round(method, batch):  # of a machine that nobody else uses
        return 0.02 + getattr(method.weighting, "seconds", 0.0)

    monkeypatch.setattr(weighting_cost, "seconds_of_round", seconds_of_round)
    assert weighting_cost.evaluate(weighted(EqualWeights()), seconds=0.1).value == 0
    assert weighting_cost.evaluate(weighted(Slow(0.02)), seconds=0.1).value == pytest.approx(100)


def test_importance_weights_cost_next_to_nothing_and_measuring_changes_nothing():
    subject = weighted(ImportanceWeights())
    before = copy.deepcopy(subject.method.state_dict())
    assert abs(weighting_cost.evaluate(subject).value) < 20  # a round of this GAN takes a millisecond
    assert all(torch.equal(value, before[name]) for name, value in subject.method.state_dict().items())
    with pytest.raises(NotRunError, match="no weights"):
        weighting_cost.evaluate(trained(nn.Linear(1, 1), digits()))


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_gaussian_domains_are_told_apart_as_well_as_can_be(shift):
    random = numpy.random.default_rng(0)
    source, target = random.normal(size=(2, 20_000, 3))
    target[:, 0] += shift
    right = domain_accuracy.told_apart(source, target)
    assert right.mean() == pytest.approx(ndtr(shift / 2), abs=4 / 20_000**0.5)  # Bayes' error of N(0, 1), N(shift, 1)


def test_domains_are_told_apart_by_their_pixels_and_not_by_what_is_the_same_in_both():
    data = digits("digits-pair")
    by = {
        "pixels": lambda x: (x.flatten(1), x.flatten(1)[:, :10]),
        "nothing": lambda x: (torch.zeros(len(x), 2), torch.zeros(len(x), 10)),
    }
    found = {name: domain_accuracy.evaluate(trained(SimpleNamespace(judge=by[name]), data)) for name in by}
    assert found["pixels"].value > 95
    assert found["pixels"].value == pytest.approx(found["pixels"].controls["pixels"], abs=0.5)
    assert found["nothing"].value == 50
    with pytest.raises(NotRunError, match="one domain"):
        domain_accuracy.evaluate(trained(SimpleNamespace(judge=by["nothing"]), digits()))


def correlated(weight_of_bound) -> Any:
    """Of a method whose bound of an image is its sum of pixels, and whose weights are a function of that."""
    method = SimpleNamespace(
        log_weight=lambda batch: batch.x.flatten(1).sum(1), weights=lambda x: weight_of_bound(x.flatten(1).sum(1))
    )
    return weight_of_hard_images.evaluate(trained(method, digits()), draws=2)


def test_weights_that_follow_the_bound_have_rank_correlations_of_one():
    assert correlated(lambda bound: torch.sigmoid(-bound / 10)).value == pytest.approx(1)
    assert correlated(lambda bound: bound**3).value == pytest.approx(-1)
    assert correlated(torch.ones_like).value == 0
    with pytest.raises(NotRunError, match="no weights"):
        weight_of_hard_images.evaluate(trained(SimpleNamespace(), digits()))


def test_the_rank_correlation_of_a_gaussian_pair():
    x, y = numpy.random.default_rng(0).normal(size=(2, 50_000))
    found = weight_of_hard_images.rank_correlation(x, 0.6 * x + 0.8 * y)
    assert found == pytest.approx(6 / math.pi * math.asin(0.6 / 2), abs=0.01)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_the_error_of_the_rank_correlation_is_its_spread(rho):
    random, found = numpy.random.default_rng(0), []
    for _ in range(100):
        bound, noise = torch.from_numpy(random.normal(size=(2, 200)))
        data = SimpleNamespace(test_x=torch.stack([bound, -rho * bound + (1 - rho**2) ** 0.5 * noise], 1))
        method = SimpleNamespace(log_weight=lambda batch: batch.x[:, 0], weights=lambda x: x[:, 1])
        found.append(weight_of_hard_images.evaluate(trained(method, data), draws=2))
    errors = numpy.mean([one.standard_error for one in found])
    assert numpy.std([one.value for one in found]) == pytest.approx(errors, rel=0.25)


def test_every_sentence_of_the_audit_has_its_claim():
    named = """
        asvae-beats-flow-nll-mnist asvae-beats-vae-nll-cifar10 asvae-r-competes-with-pixelrnn-mnist
        asvae-g-sharper-than-r-mnist asvae-g-scores-above-full-cifar10 asvae-r-reconstructs-better-than-full
        asvae-reconstructs-better-than-g asvae-competes-with-pixelrnn-cifar10 asvae-competes-with-pixelcnn-cifar10
        asvae-scores-above-wgan-cifar10 asvae-scores-above-mix-wgan-cifar10 asvae-scores-above-ali-cifar10
        asvae-scores-above-dcgan-cifar10 asvae-generates-better-than-ali asvae-scores-above-dcgan-imagenet
        asvae-scores-above-pixelcnn-imagenet asvae-competes-with-pixelrnn-imagenet asvae-competes-with-pixelcnn-imagenet
        asvae-covers-more-than-dcgan-imagenet asvae-matches-the-prior-better iwgan-costs-no-more-mnist
        gan-sharper-than-vae-mnist vae-covers-more-than-gan-mnist vaegan-covers-more-than-gan
        aavae-improves-more-at-1-than-at-10 smoother-discriminator-helps-1.5 smoother-discriminator-helps-5
        evaluator-accuracy-mnist evaluator-accuracy-svhn evaluator-score-mnist evaluator-score-svhn
        evaluator-score-cifar10
    """
    assert [name for name in named.split() if name not in TESTED] == []


def test_no_sentence_is_said_twice_and_families_are_small():
    said = Counter((claim.paper, claim.sentence) for claim in CLAIMS.values())
    assert max(said.values()) == 1
    families = Counter((claim.paper, claim.family) for claim in TESTED.values())
    assert max(families.values()) <= 8


@pytest.mark.parametrize("name", TESTED)
def test_a_claim_compares_the_same_quantity_of_the_same_images(name):
    claim = TESTED[name]
    runs = [run for quantity in claim.quantities() for run in quantity.runs()]
    data = {SUITE.run(run).dataset for run in runs}
    assert len({SHARED_IMAGES.get(one, one) for one in data}) == 1
    assert len(data) == 1 or "bits drawn from them" in claim.note
    quantities = {declarations.metrics()[q.metric].literals.get("quantity", q.metric) for q in claim.quantities()}
    assert len(quantities) == 1
    fractions = {SUITE.run(run).fraction for run in runs}
    assert claim.paired == (claim.than is not None and max(fractions) < 1)
    assert bool(claim.basis) == (claim.effect is not None or claim.sd is not None)


def test_noise_wins_no_claim_on_sharpness():
    quantities = [q for claim in TESTED.values() if claim.value is None for q in claim.quantities()]
    assert {q.detail for q in quantities if q.metric == "sharpness"} == {"distance from 1"}


@pytest.mark.parametrize("name", [name for name, claim in TESTED.items() if claim.between is not None])
def test_bounds_are_within_the_natural_limits(name):
    claim = TESTED[name]
    (quantity,), bounds = claim.quantities(), claim.between or (math.nan, math.nan)
    low, high = claim.limits or declarations.metrics()[quantity.metric].literals["limits"]
    assert low is None or bounds[0] >= low
    assert high is None or bounds[1] <= high
    assert bounds != (low, high)


def printed(table: str, row: str, column: str) -> float:
    """A published value."""
    for path in (ROOT / "benchmarks" / "papers").glob("*/published.csv"):
        with open(path, encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                if (line["table"], line["row"], line["column"]) == (table, row, column):
                    return float(line["value"])
    raise KeyError((table, row, column))


EFFECTS = {  # claim -> the paper's table, rows of the greater and the smaller number, column
    "asvae-beats-flow-nll-mnist": ("asvae-table-1", "NF (k=80)", "AS-VAE", "NLL"),
    "asvae-r-competes-with-pixelrnn-mnist": ("asvae-table-1", "PixelRNN", "AS-VAE-r", "NLL"),
    "asvae-competes-with-pixelrnn-cifar10": ("asvae-table-2", "PixelRNN", "AS-VAE", "NLL"),
    "asvae-competes-with-pixelrnn-imagenet": ("asvae-table-3", "PixelRNN", "AS-VAE", "NLL"),
    "asvae-scores-above-wgan-cifar10": ("asvae-table-2", "AS-VAE", "WGAN", "IS"),
    "asvae-scores-above-mix-wgan-cifar10": ("asvae-table-2", "AS-VAE", "MIX + WGAN", "IS"),
}


def test_stated_effects_are_the_papers_numbers():
    assert {name for name, claim in CLAIMS.items() if claim.effect is not None} == set(EFFECTS)
    for name, (table, greater, than, column) in EFFECTS.items():
        beyond = printed(table, greater, column) - printed(table, than, column) - CLAIMS[name].by
        assert CLAIMS[name].effect == pytest.approx(beyond), name


def test_seeds_are_as_many_as_find_the_papers_effect():
    wanted = {name: found.wanted or 0 for name, found in power.of_claims(SUITE).items() if name in TESTED}
    assert {name: TESTED[name].seeds for name in wanted} == wanted


def test_competitive_is_what_the_papers_own_numbers_are():
    margins = [claim.by for name, claim in CLAIMS.items() if "-competes-" in name]
    assert sorted(set(margins)) == [-2.59, -0.5]
    worst = printed("asvae-table-3", "AS-VAE", "NLL") - printed("asvae-table-3", "PixelCNN++", "NLL")
    assert worst == pytest.approx(0.44)
    assert worst < 0.5


@pytest.mark.parametrize("method", ["VAE", "CVAE", "SVAE"])
def test_notes_on_less_data_are_the_papers_table(method):
    gains = [
        printed("unifying-table-3", share, f"AA-{method}") - printed("unifying-table-3", share, method)
        for share in ("1%", "10%", "100%")[: 2 if method == "SVAE" else 3]
    ]
    note = CLAIMS[f"aa{method.lower()}-improves-more-at-1-than-at-10"].note
    assert all(f"{gain:.2f}" in note for gain in gains)
    assert ("contradicts" in note) == (gains != sorted(gains, reverse=True))


def test_the_rmse_of_pixelcnn_is_below_as_vaes():
    claim = CLAIMS["asvae-reconstructs-better-than-pixelcnn"]
    numbers = [printed("asvae-table-2", row, "RMSE") for row in ("AS-VAE", "PixelCNN++", "AS-VAE-r")]
    assert all(f"{number:g}" in claim.note for number in numbers)
    assert numbers[0] > numbers[1]


def test_a_vae_of_as_vaes_networks_differs_in_the_floor_alone():
    ours, theirs = (SUITE.components(run)["encoder"] for run in ("vae-asvae-mnist", "asvae-mnist"))
    assert theirs == {**ours, "min_sd": theirs["min_sd"]}
    assert SUITE.components("vae-asvae-mnist")["decoder"] == SUITE.components("asvae-mnist")["decoder"]


def test_the_gan_beside_vaegan_has_its_generator_and_discriminator():
    gan, both = (SUITE.components(run) for run in ("gan-grey-mnist", "vaegan-mnist"))
    assert all(gan[role] == both[role] for role in ("generator", "discriminator"))
    assert SUITE.latent_dim("gan-grey-mnist") == SUITE.latent_dim("vaegan-mnist") == SUITE.latent_dim("vae-grey-mnist")
