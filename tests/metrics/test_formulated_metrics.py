"""Metrics of what Unifying only formulates, each with a positive and a negative control, and pairs of domains."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from torch import nn

from benchmarks.config.models import Dataset, load_file
from benchmarks.data import datasets, sources
from benchmarks.data.image_files import Arrays
from benchmarks.errors import NotRunError, SuiteError
from benchmarks.metrics import (
    code_accuracy,
    cycle_error,
    source_accuracy,
    translation_accuracy,
    unit_predictability,
)
from benchmarks.metrics.trained import Classifier, Trained
from methods.networks.bodies import MLP
from methods.predictability import PredictabilityMinimisation, Predictors
from methods.training.minibatches import Images, Minibatches
from tests.methods.test_formulated import infogan

DEFINITIONS = load_file("datasets.yml", Dataset)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits_pair():
    return datasets.load("digits-pair", DEFINITIONS["digits-pair"], Path("nowhere"), CPU)


def trained(method, data=None, **more):
    """`method` as a metric sees it."""
    return Trained(method, 2, "some data", data, None, Path("nowhere"), Path("nowhere"), CPU, **more)


class Codes:
    """Images that show their code, or do not; Q reads it with this confidence."""

    categories = 4

    def __init__(self, shows, confidence):
        self.shows, self.confidence = shows, confidence

    def sample_prior(self, n, device="cpu"):
        return torch.randn(n, 1), torch.randint(4, (n,))

    def generate(self, z, c):
        return nn.functional.one_hot(c if self.shows else torch.randint(4, c.shape), 4).float()

    def code_logits(self, x):
        return self.confidence * x


def test_code_accuracy_and_its_bound():
    good = code_accuracy.evaluate(trained(Codes(True, 50.0)))
    assert good.value == 100
    assert good.details["bound on I(c; x), nats"] == pytest.approx(math.log(4))
    bad = code_accuracy.evaluate(trained(Codes(False, 0.1)))
    assert abs(bad.value - 25) < 5 * bad.standard_error
    assert bad.details["bound on I(c; x), nats"] < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_infogans_bound_is_at_most_the_entropy(seed):
    torch.manual_seed(seed)
    found = code_accuracy.evaluate(trained(infogan().eval()), n=500)
    assert found.details["bound on I(c; x), nats"] <= found.details["H(c), nats"] == pytest.approx(math.log(3))


def shifted(x):
    """What digits-pair does to a source image."""
    return nn.functional.pad(x, (1, 0))[..., :-1] / 2 + 64 / 255


class Translators:
    """Translators between the domains: nearly the true ones, or none."""

    def __init__(self, true):
        self.true = true

    def translate(self, x, to):
        if not self.true:
            return x
        back = nn.functional.pad(2 * (x - 64 / 255), (0, 1))[..., 1:]
        return shifted(x) if to == "target" else back.clamp(0, 1)


def test_cycle_error_of_no_translation_is_zero_and_of_a_constant_is_not(digits_pair):
    nothing = cycle_error.evaluate(trained(Translators(False), digits_pair))
    assert nothing.value == 0
    assert nothing.details["half of the change by translation"] == 0  # which gives it away
    true = cycle_error.evaluate(trained(Translators(True), digits_pair))
    assert true.value < 0.02 < 0.1 < true.details["half of the change by translation"]
    constant = SimpleNamespace(translate=lambda x, to: torch.full_like(x, 0.5))
    assert cycle_error.evaluate(trained(constant, digits_pair)).value > 0.2
    alone = datasets.load("digits-grey", DEFINITIONS["digits-grey"], Path("nowhere"), CPU)
    for metric in (cycle_error, source_accuracy):
        method = SimpleNamespace(translate=None, judge=None)
        with pytest.raises(NotRunError, match="one domain"):
            metric.evaluate(trained(method, alone))


def nearest_source_image(data):
    """A classifier of the source domain: the class of the nearest training image of the source."""
    known = data.train.labels >= 0
    x, y = data.train.pixels[known].float().flatten(1) / 255, data.train.labels[known]

    def judge(images):
        return images.flatten(1), 50.0 * nn.functional.one_hot(y[torch.cdist(images.flatten(1), x).argmin(1)], 10)

    return judge


def test_translation_and_source_accuracy(digits_pair):
    judge = nearest_source_image(digits_pair)
    found = {
        true: translation_accuracy.evaluate(
            trained(Translators(true), digits_pair, find_classifier=lambda: Classifier(judge, "key", {}))
        )
        for true in (True, False)
    }
    assert found[True].value > 95
    assert found[False].value == found[False].details["without translation"] < 80
    good = source_accuracy.evaluate(trained(SimpleNamespace(judge=judge), digits_pair))
    assert good.value > 95
    guess = SimpleNamespace(judge=lambda x: (x.flatten(1), torch.randn(len(x), 10)))
    assert source_accuracy.evaluate(trained(guess, digits_pair)).value < 25


def test_unit_predictability_finds_what_is_there():
    random = numpy.random.default_rng(0)
    bits = random.integers(0, 2, (400, 5)).astype(float)
    assert unit_predictability.r_squared(bits).clip(0).max(0).mean() < 0.1
    copied = numpy.concatenate([bits, bits], 1)
    assert unit_predictability.r_squared(copied).max(0).min() > 0.95
    xor = numpy.concatenate([bits[:, :2], (bits[:, :1] + bits[:, 1:2]) % 2], 1)
    linear, forest = unit_predictability.r_squared(xor)
    assert linear.max() < 0.1 < 0.9 < forest.min()  # no linear regressor sees it
    constant = numpy.concatenate([bits, numpy.ones((400, 1))], 1)
    assert unit_predictability.r_squared(constant)[:, -1].tolist() == [1, 1]


def test_unit_predictability_of_an_untrained_code_is_high(digits_pair):
    method = PredictabilityMinimisation(MLP((1, 8, 8), [32], centre=True), Predictors(12, [8]), 12).eval()
    found = unit_predictability.evaluate(trained(method, digits_pair))
    assert found.value > 0.3
    assert 0 < found.details["mean variance of a unit"] < 0.25


# --- pairs of domains


def test_digits_pair_hides_the_targets_labels_and_shares_no_image(digits_pair):
    arrays = sources.digits(DEFINITIONS["digits"], Path("nowhere"))
    pixels, labels = digits_pair.train.pixels, digits_pair.train.labels
    n = int((labels >= 0).sum())
    assert (n, int((labels == -1).sum())) == (718, 719)
    assert torch.equal(labels[:n], torch.from_numpy(arrays.train_y[:718]))
    used = [int(a) for a in labels.unique()]
    assert used == list(range(-1, 10))
    images = {x.tobytes() for x in pixels[:n].numpy()}
    unshifted = arrays.train_x[718:]
    assert sum(x.tobytes() in images for x in unshifted) <= 2  # scans that are pixel-identical
    assert not any(x.tobytes() in images for x in pixels[n:].numpy())
    expected = shifted(torch.from_numpy(unshifted).float() / 255)
    assert float((pixels[n:].float() / 255 - expected).abs().max()) < 1.01 / 255
    assert torch.equal(digits_pair.test_y, torch.from_numpy(arrays.test_y))
    assert digits_pair.test_x.shape == digits_pair.source_test_x.shape == (360, 1, 8, 8)
    assert float((digits_pair.test_x - shifted(digits_pair.source_test_x)).abs().max()) < 1.01 / 255


def test_minibatches_of_two_domains_carry_hidden_labels():
    found = Images(torch.zeros(8, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 2, 3, -1, -1, -1, -1]), "grey")
    batches = Minibatches(found, 8, 0)
    y = next(batches).y
    assert sorted(y.tolist()) == [-1, -1, -1, -1, 0, 1, 2, 3]
    small = next(Minibatches(found, 64, 0))  # drawn with replacement
    assert set(small.y.tolist()) <= {-1, 0, 1, 2, 3}


def test_mnist_pair_blends_with_photographs(monkeypatch):
    random = numpy.random.default_rng(0)
    x, y = random.integers(0, 256, (24, 1, 28, 28), dtype=numpy.uint8), numpy.arange(24) % 10
    x[:, :, :4] = 0  # a margin, in which the photograph shows
    monkeypatch.setattr(sources, "mnist", lambda definition, root: Arrays(x, y, x[:6], y[:6]))
    found = sources.mnist_pair(DEFINITIONS["mnist-pair"], Path("nowhere"))
    assert found.train_x.shape == x.shape
    assert found.train_x.dtype == numpy.uint8
    assert found.train_y.tolist() == [*y[:12], *[-1] * 12]
    assert numpy.array_equal(found.train_x[:12], x[:12])
    assert numpy.array_equal(found.source_test_x, x[:6])
    assert numpy.array_equal(found.test_y, y[:6])
    crop = found.train_x[12:, :, :4].astype(int)
    assert crop.std() > 5
    inverse = 255 - x[12:, :, 10:].astype(int)
    assert abs(numpy.corrcoef(found.train_x[12:, :, 10:].ravel(), inverse.ravel())[0, 1]) < 0.9
    again = sources.mnist_pair(DEFINITIONS["mnist-pair"], Path("nowhere"))
    assert numpy.array_equal(found.train_x, again.train_x)


def test_domains_that_do_not_fit_are_one_clear_line():
    grey, colour = numpy.zeros((2, 1, 8, 8), numpy.uint8), numpy.zeros((2, 3, 8, 8), numpy.uint8)
    y = numpy.zeros(2, numpy.int64)
    with pytest.raises(SuiteError, match=r"one shape") as error:
        sources.pair("mine", Arrays(grey, y, grey, y), Arrays(colour, y, colour, y))
    assert "(1, 8, 8)" in str(error.value)
    assert "(3, 8, 8)" in str(error.value)
    with pytest.raises(SuiteError, match="without labels"):
        sources.pair("mine", Arrays(grey, None, grey, None), Arrays(grey, y, grey, y))


def test_two_domains_need_no_classes_but_the_sources():
    grey, y = numpy.zeros((2, 1, 8, 8), numpy.uint8), numpy.arange(2)
    found = sources.pair("mine", Arrays(grey, y, grey, y), Arrays(grey, None, grey, y))
    assert found.train_y.tolist() == [0, 1, -1, -1]
