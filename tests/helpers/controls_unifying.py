"""Controls of the metrics behind the claims of AS-VAE and Unifying, as tests/helpers/controls.py."""

import time
from types import SimpleNamespace

import torch
from torch import nn

from methods.training.game import Player
from tests.helpers.controls import control, digits, images, judge, metric, trained


@control("class_coverage")
def _covered(name, folder):
    """Digits of all classes, and one digit."""
    held_out = digits().validation_x
    return [
        metric(name).evaluate(images(x, folder), n=128) for x in (held_out, held_out[:1].expand_as(held_out).clone())
    ]


@control("inception_coverage")
def _covered_by_inception(name, folder):
    module = metric(name)
    real, module.inception_of = module.inception_of, lambda trained, download: judge()  # no weights can be had here
    try:
        return _covered(name, folder)
    finally:
        module.inception_of = real


class Weighted(nn.Module):
    """A discriminator of given images with a weighting that takes so many seconds."""

    def __init__(self, seconds):
        super().__init__()
        self.network, self.weighting, self.seconds = nn.Linear(64, 1), self.weights, seconds

    def weights(self, logits):
        time.sleep(self.seconds)
        return torch.full_like(logits, 1 / len(logits))

    def loss(self, batch):
        logits = self.network(batch.x.flatten(1))
        return (self.weighting(logits) * logits).sum()

    def players(self):
        return {"discriminator": Player((self.network,), self.loss)}


@control("weighting_cost")
def _weights(name, folder):
    """Weights that cost nothing more than equal ones, and weights that take a millisecond."""
    return [metric(name).evaluate(trained(Weighted(seconds), digits())) for seconds in (0.0, 1e-3)]


@control("domain_accuracy")
def _told_apart(name, folder):
    """Features that say nothing, and pixels."""
    same = SimpleNamespace(judge=lambda x: (torch.zeros(len(x), 2), torch.zeros(len(x), 10)))
    pixels = SimpleNamespace(judge=lambda x: (x.flatten(1), torch.zeros(len(x), 10)))
    return [metric(name).evaluate(trained(method, digits("digits-pair"))) for method in (same, pixels)]


@control("weight_of_hard_images")
def _hard(name, folder):
    """Weights that grow as the bound falls, and weights that grow with it."""

    def off(sign):
        method = SimpleNamespace(
            log_weight=lambda batch: batch.x.flatten(1).sum(1), weights=lambda x: sign * x.flatten(1).sum(1)
        )
        return metric(name).evaluate(trained(method, digits()), draws=2).value - 1

    return off(-1), off(1)
