"""For every metric a control that must score well and one that must score badly: what they are, and where to look.

A control is a function of a folder that returns (good, bad), each an estimate or a number.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import torch
from torch import nn

from benchmarks import metrics as package
from benchmarks.config.models import Dataset, load_file
from benchmarks.data import datasets
from benchmarks.metrics.trained import Classifier, Trained
from methods.avb import AdaptiveContrast
from methods.gaussian_vi import GaussianVI
from methods.networks.encoders import MeanFieldGaussian
from methods.terms import log_standard_normal
from methods.training.minibatches import Images
from methods.vae import VAE
from tests.helpers.linear_gaussian import LATENT, Linear, Posterior, simulated
from tests.metrics.test_formulated_metrics import Codes, Translators, nearest_source_image
from tests.statistics.test_claims_avb import Drawn, Information, Nothing, game

CPU = torch.device("cpu")
Scores = tuple[Any, Any]
CONTROLS: dict[str, Callable[[Path], Scores]] = {}


def metric(name: str) -> Any:
    """The module of a metric."""
    __import__(f"{package.__name__}.{name}")
    return getattr(package, name)


def control(*names: str) -> Callable[[Callable[[str, Path], Scores]], Callable[[str, Path], Scores]]:
    """Register a function (name, folder) -> (good, bad) for these metrics."""

    def register(function):
        for name in names:
            CONTROLS[name] = lambda folder, name=name: function(name, folder)
        return function

    return register


def trained(method: Any, data: Any = None, folder: Path = Path("nowhere"), dataset: str = "some", **more) -> Trained:
    """`method` as a metric sees it."""
    return Trained(method, LATENT, dataset, data, None, folder, folder, CPU, **more)


@cache
def digits(name: str = "digits-grey") -> datasets.Data:
    """An embedded dataset."""
    return datasets.load(name, load_file("datasets.yml", Dataset)[name], Path("nowhere"), CPU)


@cache
def judge() -> Callable:
    """A judge of digits: pixels as features, and the class of the nearest training image."""
    return nearest_source_image(digits())


def always_three(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A judge who says 3 to everything."""
    return x.flatten(1), nn.functional.one_hot(torch.full((len(x),), 3), 10).float()


def images(samples: torch.Tensor, folder: Path, data: Any = None) -> Trained:
    """A "method" whose samples are these images, with a classifier."""
    method = SimpleNamespace(sample=lambda n, device: samples[:n])
    classifier = Classifier(judge(), "key", {})
    return trained(method, data or digits(), folder, find_classifier=lambda: classifier)


def linear(shift: float = 0.0, seed: int = 0) -> Trained:
    """The linear model with data of seed 0; another seed is another model."""
    train = Images(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), None, "levels")
    data = SimpleNamespace(test_x=simulated(), test_y=torch.zeros(200, dtype=torch.long), train=train)
    method: Any = VAE(Posterior(shift), Linear(seed)).eval()
    method.labelled_log_weight, method.labelled_bound = method.log_weight, "log p(x|c)"
    return trained(method, data)


@control("elbo", "importance_bound", "labelled_elbo", "nll_bound", "bits_bound", "reconstruction_error", "rmse")
def _posterior(name, folder):
    return metric(name).evaluate(linear()), metric(name).evaluate(linear(shift=2.0))


@control("adversarial_elbo")
def _adversary(name, folder):
    def says(offset):
        method = SimpleNamespace(elbo_estimate=lambda batch, draws: Linear().log_p(batch.x) + offset)
        return metric(name).evaluate(trained(method, linear().data)).value - float(Linear().log_p(simulated()).mean())

    return says(0.0), says(5.0)


@control("ais", "log_likelihood")
def _marginal(name, folder):
    options = {"distributions": 50} if name == "ais" else {"side": 201}
    return [metric(name).evaluate(linear(seed=seed), **options) for seed in (0, 3)]


@control("bdmc_gap")
def _gap(name, folder):
    return [metric(name).evaluate(linear(shift), distributions=t, chains=4) for shift, t in ((0.0, 50), (2.0, 3))]


@control("posterior_kl")
def _to_the_posterior(name, folder):
    return metric(name).evaluate(linear()), metric(name).evaluate(linear(shift=0.5))


@control("code_spread", "contrast_kl", "information_error")
def _game(name, folder):
    """AVB at its optimum on the linear model; an encoder as wide as the prior, the prior as contrast, T off by 0.7."""
    good, bad = {
        "code_spread": (game(), game(encoder=Drawn(lambda n: torch.randn(n, LATENT)))),
        "contrast_kl": (game(Nothing(), AdaptiveContrast()), game()),
        "information_error": (game(), game(Information(0.7))),
    }[name]
    return [metric(name).evaluate(trained(method, linear().data)) for method in (good, bad)]


class StandardNormal:
    """A problem whose posterior is N(0, I)."""

    log_posterior = staticmethod(log_standard_normal)

    def exact_draws(self, n, generator):
        return torch.randn(n, LATENT, generator=generator, dtype=torch.float64)


@control("aggregated_kl", "aggregated_kl_knn", "kl_to_posterior", "kl_to_posterior_knn", "kl_from_posterior_knn")
def _gaussian_codes(name, folder):
    draws = numpy.random.default_rng(0).normal(size=(2000, LATENT))
    numpy.savez(folder / "gaussian.npz", exact=draws)

    def codes(shift):
        method = SimpleNamespace(encode=lambda x: torch.randn(len(x), LATENT) + shift)
        found = replace(trained(method, digits(), folder, "gaussian"), problem=StandardNormal())
        return metric(name).evaluate(found, n=2000)

    return codes(0.0), codes(1.0)


@control("kl_exact", "kl_from_posterior")
def _exact_kl(name, folder):
    def shifted(shift):
        encoder = MeanFieldGaussian(LATENT)
        with torch.no_grad():
            encoder.mean.fill_(shift)
        found = replace(trained(GaussianVI(encoder, nn.Identity())), problem=StandardNormal())
        return metric(name).evaluate(found, n=100_000)

    return shifted(0.0), shifted(1.0)


@control("mode_share")
def _modes(name, folder):
    def tau(centre):
        z = 0.3 * torch.randn(10_000, LATENT) + centre * torch.randn(10_000, 1).sign()
        found = metric(name).evaluate(trained(SimpleNamespace(encode=lambda x: z), dataset="eight-schools"))
        return {"good": found.value, "balance": found.details["smaller share"]}

    both, blob = tau(2.0), tau(0.0)
    assert blob["balance"] > 0.48  # what the share of one side takes for two modes
    return both["good"] - 0.5, blob["good"] - 0.5


@control("posterior_draws")
def _draws(name, folder):
    def mean(shift):
        method = SimpleNamespace(encode=lambda x: torch.full((len(x), LATENT), shift))
        metric(name).evaluate(trained(method, folder=folder))
        return float(numpy.load(folder / metric(name).ARTEFACT)["z"].mean())

    return mean(0.0), mean(1.0)


@control("latent_codes")
def _codes(name, folder):
    def spread(noise):
        """Of the codes of one image, which this encoder does or does not determine."""
        method = SimpleNamespace(encode=lambda x: x.flatten(1)[:, :2] + noise * torch.randn(len(x), 2))
        metric(name).evaluate(trained(method, digits(), folder))
        found = numpy.load(folder / metric(name).ARTEFACT)
        return float(numpy.mean([found["z"][found["image"] == image].std() for image in range(4)]))

    return spread(0.0), spread(9.0)


@control("sample_grid")
def _grid(name, folder):
    def error(reconstruct):
        method = SimpleNamespace(sample=lambda n, device: torch.rand(n, 1, 8, 8), reconstruct=reconstruct)
        metric(name).evaluate(trained(method, digits(), folder, provides=frozenset({"reconstruct"})))
        found = numpy.load(folder / metric(name).ARTEFACT)
        return float(abs(found["reconstructions"] - found["test"]).mean())

    return error(lambda x: x), error(torch.rand_like)


@control("classifier_score", "classifier_fid", "classifier_kid", "sharpness")
def _samples(name, folder):
    held_out = digits().validation_x
    return [metric(name).evaluate(images(x, folder), n=128) for x in (held_out, torch.rand_like(held_out))]


@control("fid", "kid", "inception_score")
def _inception(name, folder):
    module = metric(name)
    real, module.inception_of = module.inception_of, lambda trained, download: judge()  # no weights can be had here
    try:
        return _samples(name, folder)
    finally:
        module.inception_of = real


@control("sample_audit")
def _copies(name, folder):
    held_out, copies = digits().validation_x, digits().train.pixels[:256].float() / 255
    return [metric(name).evaluate(images(x, folder), n=128).value - 0.5 for x in (held_out, copies)]


@control("accuracy", "real_score")
def _classifier(name, folder):
    sure = SimpleNamespace(judge=judge())
    guess = SimpleNamespace(judge=always_three)
    return [metric(name).evaluate(trained(method, digits())) for method in (sure, guess)]


@control("source_accuracy", "translation_accuracy", "cycle_error")
def _domains(name, folder):
    data = digits("digits-pair")
    source = nearest_source_image(data)
    good: Any = Translators(True)
    bad: Any = SimpleNamespace(translate=lambda x, to: torch.zeros_like(x), judge=always_three)
    good.judge = source
    find = {"find_classifier": lambda: Classifier(source, "key", {})}
    return [metric(name).evaluate(trained(method, data, **find)) for method in (good, bad)]


@control("conditional_accuracy")
def _classes(name, folder):
    train = digits().train
    of_class = torch.stack([train.pixels[train.labels == c][0] for c in range(10)]).float() / 255
    good = SimpleNamespace(classes=10, sample_class=lambda y: of_class[y])
    bad = SimpleNamespace(classes=10, sample_class=lambda y: torch.rand(len(y), 1, 8, 8))
    find = {"find_classifier": lambda: Classifier(judge(), "key", {})}
    return [metric(name).evaluate(trained(method, digits(), **find), n=500) for method in (good, bad)]


@control("code_accuracy")
def _recovered(name, folder):
    return [metric(name).evaluate(trained(Codes(shows, 50.0))) for shows in (True, False)]


@control("unit_predictability")
def _units(name, folder):
    def found(copied):
        bits = torch.bernoulli(torch.full((len(digits().test_x), 4), 0.5))
        units = torch.cat([bits, bits], 1) if copied else bits
        return metric(name).evaluate(trained(SimpleNamespace(encode=lambda x: units[: len(x)]), digits()), batch=4000)

    return found(False), found(True)


@control("nll_exact", "bits_exact")
def _pixels(name, folder):
    """Bits by the share of ones of their pixel, and bits by a coin."""
    x = digits("digits").test_x
    share = x.mean(0).clamp(0.01, 0.99)

    def model(p):
        return SimpleNamespace(log_prob=lambda x: torch.distributions.Bernoulli(p).log_prob(x).flatten(1).sum(1))

    return [metric(name).evaluate(trained(model(p), digits("digits"))) for p in (share, 0 * share + 0.5)]


@control("epoch_cost")
def _epoch(name, folder):
    return [metric(name).evaluate(trained(None, digits(), images_per_second=rate)) for rate in (1300.0, 13.0)]


@control("sampling_speed")
def _speed(name, folder):
    def slow(n, device):
        time.sleep(0.05)
        return torch.zeros(n)

    quick = SimpleNamespace(sample=lambda n, device: torch.zeros(n))
    return [metric(name).evaluate(trained(method, digits())) for method in (quick, SimpleNamespace(sample=slow))]


COIN = 64 * math.log(2)  # nats of an 8x8 image of fair bits
