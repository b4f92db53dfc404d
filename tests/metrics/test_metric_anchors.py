"""Controls: values at chance level that a metric reports beside its own."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli

from benchmarks.config import declarations
from benchmarks.metrics import (
    accuracy,
    adversarial_elbo,
    bits_exact,
    classifier_fid,
    classifier_kid,
    classifier_score,
    conditional_accuracy,
    elbo,
    importance_bound,
    labelled_elbo,
    nll_exact,
    reconstruction_error,
    rmse,
    sharpness,
)
from benchmarks.metrics.estimators import controls
from benchmarks.metrics.estimators.scores import Judge, inception_scores, judged
from benchmarks.metrics.trained import Classifier, Estimate
from methods.networks.bodies import MLP
from methods.networks.decoders import BernoulliDecoder
from methods.networks.encoders import GaussianEncoder
from methods.vae import VAE
from tests.helpers.controls import CONTROLS, always_three, digits, images, linear, trained

METRICS = declarations.metrics()


def with_controls(name: str) -> bool:
    """Whether the metric has controls, and is quick."""
    return "controls" in METRICS[name].literals and name not in ("log_likelihood", "ais", "adversarial_elbo")


def pixels_are(p: torch.Tensor) -> Any:
    """A model of independent bits."""
    return SimpleNamespace(log_prob=lambda x: Bernoulli(p, validate_args=False).log_prob(x).flatten(1).sum(1))


def vae() -> Any:
    """An untrained VAE of bits."""
    torch.manual_seed(0)
    encoder, decoder = GaussianEncoder(2, MLP((1, 8, 8), [8])), BernoulliDecoder((1, 8, 8), 2, MLP((2,), [8]))
    return VAE(encoder, decoder).eval()


def by_numpy(name: str) -> numpy.ndarray:
    """log p(x) [n], nats, of test images with independent pixels of the training images' frequencies."""
    data = digits(name)
    p = (data.train.pixels.numpy() / 255).mean(0).clip(1e-3, 1 - 1e-3)
    x = data.test_x.numpy().astype(float)
    return (x * numpy.log(p) + (1 - x) * numpy.log(1 - p)).sum((1, 2, 3))


@pytest.mark.parametrize("name", [name for name in CONTROLS if with_controls(name)])
def test_a_metric_reports_the_controls_that_it_names(name, tmp_path):
    for found in CONTROLS[name](tmp_path):
        if isinstance(found, Estimate):
            assert set(found.controls) <= set(METRICS[name].literals["controls"])
            low, high = METRICS[name].literals["limits"]
            assert all((low is None or v >= low) and (high is None or v <= high) for v in found.controls.values())


# --- pixels in random order


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (5, 3, 4, 6), (5, 12)])
def test_shuffled_images_keep_their_levels_and_their_colours(shape):
    x = torch.rand(shape)
    found = controls.shuffled(x)
    assert found.shape == x.shape
    assert not found.equal(x)
    assert found.flatten(1).sort().values.equal(x.flatten(1).sort().values)
    if len(shape) == 4:  # each pixel of the shuffled image is a pixel of the image
        before, after = (sorted(map(tuple, image[0].flatten(1).T.tolist())) for image in (x, found))
        assert before == after


def test_each_image_has_an_order_of_its_own_and_no_other_draws_change():
    state = torch.random.get_rng_state()
    one = torch.arange(64.0).reshape(1, 1, 8, 8)
    first, second = controls.shuffled(one.expand(2, -1, -1, -1))
    assert not first.equal(second)
    assert controls.shuffled(one)[0].equal(first)  # the same each time
    assert torch.random.get_rng_state().equal(state)


def test_shuffled_images_are_sharper_than_images(tmp_path):
    found = sharpness.evaluate(images(digits().validation_x, tmp_path), n=128)
    assert found.controls["noise"] > 1.3 > found.value
    distance = found.controls["noise, distance from 1"]
    assert distance == pytest.approx(math.log(found.controls["noise"]))
    assert found.details["distance from 1"] == abs(math.log(found.value)) < distance
    flat = sharpness.evaluate(images(torch.full((256, 1, 8, 8), 0.5), tmp_path), n=128)
    assert (flat.value, flat.details["distance from 1"]) == (0.0, pytest.approx(math.log(1e6)))
    assert (sharpness.distance_from_one(2.0), sharpness.distance_from_one(0.5)) == (math.log(2), math.log(2))


# --- reconstructions


def test_another_test_image_is_further_than_the_mean_image():
    data = digits()
    found = rmse.evaluate(trained(SimpleNamespace(reconstruct=lambda x: x), data))
    x = data.test_x.double().numpy()
    mean = (data.train.pixels.numpy() / 255).mean(0)
    assert found.controls["mean image"] == pytest.approx(((x - mean) ** 2).sum((1, 2, 3)).mean() ** 0.5)
    others = numpy.concatenate([x[1:], x[:1]])
    assert found.controls["another test image"] == pytest.approx(((x - others) ** 2).sum((1, 2, 3)).mean() ** 0.5)
    assert found.controls["another test image"] > 1.2 * found.controls["mean image"] > found.value == 0
    by_mean: Any = SimpleNamespace(reconstruct=lambda x: torch.from_numpy(mean).float().expand_as(x))
    assert rmse.evaluate(trained(by_mean, data)).value == pytest.approx(found.controls["mean image"], rel=1e-5)


# --- likelihoods


@pytest.mark.parametrize("name", ["digits", "digits-grey"])
def test_independent_pixels_are_those_of_numpy(name):
    data, expected = digits(name), by_numpy(name)
    at = trained(vae(), data)
    for found in (elbo.evaluate(at, n=100, draws=1), importance_bound.evaluate(at, n=100, samples=2)):
        assert found.controls == {"independent pixels": pytest.approx(expected[:100].mean(), rel=1e-6)}
        assert found.value < found.controls["independent pixels"]  # the VAE is not trained
    error = reconstruction_error.evaluate(at, n=100, draws=1)
    assert error.controls == {"mean image": pytest.approx(-expected[:100].mean() / 64, rel=1e-6)}


def test_the_best_model_of_independent_pixels_is_as_good_as_its_control():
    data = digits("digits")
    p = (data.train.pixels / 255).mean(0).clamp(1e-3, 1 - 1e-3)
    nats = nll_exact.evaluate(trained(pixels_are(p), data))
    bits = bits_exact.evaluate(trained(pixels_are(p), data))
    assert nats.controls == {"independent pixels": pytest.approx(nats.value, rel=1e-5)}
    assert bits.controls == {"independent pixels": pytest.approx(bits.value, rel=1e-5)}
    assert nats.value == pytest.approx(-by_numpy("digits").mean(), rel=1e-5)


def test_levels_that_are_all_as_likely_take_8_bits():
    at = trained(SimpleNamespace(log_prob=lambda x: torch.zeros(len(x))), digits("digits-levels"))
    assert bits_exact.evaluate(at).controls == {"uniform levels": pytest.approx(8.0)}
    assert nll_exact.evaluate(at).controls == {"uniform levels": pytest.approx(64 * math.log(256))}


def test_a_density_and_grey_levels_without_a_decoder_of_bits_have_no_such_control():
    assert elbo.evaluate(linear()).controls == {}
    method = SimpleNamespace(elbo_estimate=lambda batch, draws: torch.zeros(len(batch.x)))
    assert adversarial_elbo.evaluate(trained(method, digits())).controls == {}
    assert set(adversarial_elbo.evaluate(trained(method, digits("digits"))).controls) == {"independent pixels"}
    assert elbo.evaluate(trained(vae(), digits("digits-levels")), n=10, draws=1).controls == {}


def test_the_joint_likelihood_of_image_and_class_has_the_class_too():
    data, found = digits("digits"), {}
    for bound in ("log p(x|c)", "log p(x, c)"):
        method = SimpleNamespace(
            labelled_bound=bound, classes=10, labelled_log_weight=lambda batch: torch.zeros(len(batch.x))
        )
        found[bound] = labelled_elbo.evaluate(trained(method, data), draws=2).controls["independent pixels"]
    assert found["log p(x|c)"] == pytest.approx(by_numpy("digits").mean(), rel=1e-6)
    assert found["log p(x|c)"] - found["log p(x, c)"] == pytest.approx(math.log(10))


# --- classes


def test_chance_is_the_share_of_the_most_frequent_class():
    data = digits()
    shares = numpy.bincount(data.test_y.numpy()) / len(data.test_y)
    found = accuracy.evaluate(trained(SimpleNamespace(judge=always_three), data))
    assert found.controls == {"chance": pytest.approx(100 * shares.max())}
    assert found.value == pytest.approx(100 * shares[3])
    one_class = SimpleNamespace(classes=10, sample_class=lambda y: torch.zeros(len(y), 1, 8, 8))
    find = {"find_classifier": lambda: Classifier(always_three, "key", {})}
    guessed = conditional_accuracy.evaluate(trained(one_class, data, **find), n=500)
    assert guessed.value == guessed.controls["chance"] == pytest.approx(0.1)


# --- scores of samples


class Counted:
    """A judge whose features are the pixels, sure of the class of the brightest of ten pixels; it counts images."""

    def __init__(self):
        self.images = 0

    def __call__(self, x):
        self.images += len(x)
        return x.flatten(1), 50.0 * nn.functional.one_hot(x.flatten(1)[:, 20:30].argmax(1), 10)


def scored(folder, samples: torch.Tensor, judge: Judge) -> Any:
    """A "method" with these samples."""
    return replace(images(samples, folder), find_classifier=lambda: Classifier(judge, "key", {}))


def test_controls_of_scores_are_computed_once_for_all_runs(tmp_path):
    held_out, judge = digits().validation_x, Counted()
    metrics = {classifier_fid: {}, classifier_kid: {"subsets": 5}, classifier_score: {"splits": 2}}
    first = [metric.evaluate(scored(tmp_path, held_out, judge), n=128, **o) for metric, o in metrics.items()]
    judged = judge.images
    again = [metric.evaluate(scored(tmp_path, held_out, judge), n=128, **o) for metric, o in metrics.items()]
    assert judge.images - judged == 3 * 128  # the samples alone
    for one, other, metric in zip(first, again, metrics, strict=True):
        assert one == other
        assert set(one.controls) == set(metric.CONTROLS)
    at = scored(tmp_path, held_out, Counted())
    for metric, options in metrics.items():
        metric.evaluate(at, n=64, **options)
    assert len(list((tmp_path / "statistics").glob("*-of-controls-*.npz"))) == 6  # another n is another value


def test_controls_of_the_frechet_distance_in_closed_form(tmp_path):
    """Features are pixels: copies of the mean have the trace of the covariance as their distance."""
    pixels = (digits().train.pixels.flatten(1) / 255).double().numpy()
    found = classifier_fid.evaluate(scored(tmp_path, digits().validation_x, Counted()), n=128)
    assert found.controls["mean image"] == pytest.approx(numpy.cov(pixels.T).trace(), rel=1e-5)
    assert found.value < found.controls["mean image"]
    assert found.value < found.controls["noise"]


def test_noise_is_what_the_judge_says_of_shuffled_training_images(tmp_path):
    held_out = digits().validation_x
    kernel = classifier_kid.evaluate(images(held_out, tmp_path), n=128)
    assert kernel.controls["noise"] > 5 * abs(kernel.value)
    at = images(held_out, tmp_path)
    p = judged(at.classifier().judge, controls.shuffled(at.train_x(128)))[1]
    score = classifier_score.evaluate(at, n=128, splits=4)
    assert score.controls["noise"] == pytest.approx(inception_scores(p, 4).mean())


def test_more_samples_than_training_images_have_controls_too(tmp_path):
    few = replace(digits().train, pixels=digits().train.pixels[:50], labels=None)
    at = replace(scored(tmp_path, digits().validation_x, Counted()), data=replace(digits(), train=few))
    assert classifier_fid.evaluate(at, n=128).controls["noise"] > 0
