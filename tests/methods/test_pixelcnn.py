"""PixelCNN++: what a pixel may know, exact masses, the cached sampler, and what it learns."""

import math
from typing import Any

import numpy
import pytest
import torch
from scipy.stats import logistic

from benchmarks.config.models import Dataset, load_file
from benchmarks.data.datasets import load
from methods.networks.logistic_mixture import HALF_BIN, LogisticMixture, levels_of, scaled
from methods.pixelcnn import Normed, PixelCNN, ShiftedUNet
from methods.training.game import Batch
from methods.training.trainer import Settings, Trainer

BITS = math.log(2)


@pytest.fixture(autouse=True)
def _one_thread(_seeded):
    torch.set_num_threads(1)


def network_of(x_shape, filters=6, blocks=1, scales=3, mixtures=3):
    network = ShiftedUNet(x_shape, filters, blocks, scales, mixtures, dropout=0.0)
    with torch.no_grad():  # weights that hide nothing
        for layer in network.modules():
            if isinstance(layer, Normed):
                conv: Any = layer.layer
                conv.weight = torch.randn_like(conv.weight) / conv.weight[0].numel() ** 0.5
                conv.bias.normal_()
    return network.double()


def random_images(n, x_shape):
    return scaled(torch.randint(256, (n, *x_shape)).double())


def mixture_of(n=1, channels=3, k=4, spread=1.0):
    numbers = spread * torch.randn(k * (1 + 2 * channels + channels * (channels - 1) // 2), 1, 1).double()
    return LogisticMixture(numbers.expand(n, -1, -1, -1), k, channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_later_pixel_changes_no_earlier_output_but_the_next_ones(channels):
    side = 8
    network = network_of((channels, side, side))
    x = random_images(1, (channels, side, side))
    with torch.no_grad():
        before = network(x).means.flatten(3).sum(-1)
        for place in range(side * side):
            other = x.clone()
            other[0, :, place // side, place % side] *= -1
            changed = ((network(other).means.flatten(3).sum(-1) - before).abs() > 1e-14).flatten()
            assert not changed[: place + 1].any()
            assert changed[place + side : place + side + 1].all()  # the pixel below
            assert place % side == side - 1 or changed[place + 1]  # the next in the row


@pytest.mark.parametrize("colour", range(3))
def test_a_later_sub_pixel_of_the_same_pixel_changes_no_earlier_colours_mass(colour):
    mixture, x = mixture_of(), random_images(1, (3, 1, 1)).permute(0, 2, 3, 1)
    other = x.clone()
    other[..., colour] = -x[..., colour]
    changed = (mixture.log_masses(x) != mixture.log_masses(other)).flatten(0, 2).any(-1)[0]
    assert not changed[:colour].any()
    assert changed[colour:].all()


@pytest.mark.parametrize("colour", range(3))
@pytest.mark.parametrize("spread", [0.3, 1.0, 5.0])
def test_the_256_masses_of_a_colour_sum_to_one(colour, spread):
    mixture = mixture_of(256, spread=spread)
    x = random_images(1, (3, 1, 1)).permute(0, 2, 3, 1).repeat(256, 1, 1, 1)
    x[..., colour] = scaled(torch.arange(256).double()).reshape(-1, 1, 1)
    masses = mixture.log_masses(x)[..., colour, :].exp().sum(0)
    assert torch.allclose(masses, torch.ones_like(masses), atol=1e-9)


def test_masses_are_those_worked_out_by_hand():
    mixture = LogisticMixture(torch.zeros(1, 3, 1, 1).double(), 1, 1)
    found = mixture.log_prob(torch.tensor([0.0, -1.0]).double().reshape(2, 1, 1, 1)).flatten()
    assert found.tolist() == pytest.approx([-6.234412, -1.310396], abs=1e-6)


def test_masses_far_in_the_tails_are_exact():
    """Where sigma differences round to zero, scipy's log survival function is the truth."""
    numbers = torch.tensor([0.0, -0.9, -6.0], dtype=torch.float64).reshape(1, 3, 1, 1)
    x = scaled(torch.tensor([250.0]).double())
    a, b = ((float(x) + d + 0.9) * math.exp(6.0) for d in (-HALF_BIN, HALF_BIN))
    wanted = logistic.logsf(a) + math.log1p(-math.exp(logistic.logsf(b) - logistic.logsf(a)))
    assert wanted < -700
    found = LogisticMixture(numbers, 1, 1).log_prob(x.reshape(1, 1, 1, 1))
    assert float(found) == pytest.approx(wanted, rel=1e-9)


def conditional_entropies(mixture, x):
    """Entropy of each sub-pixel's 256 masses [sub-pixels], nats, given the earlier colours of x [n, h, w, c]."""
    found = []
    weights = mixture.log_weights
    for colour in range(x.shape[-1]):
        masses = []
        for level in range(256):
            y = x.clone()
            y[..., colour] = scaled(torch.tensor(float(level)))
            masses.append(torch.logsumexp(weights + mixture.log_masses(y)[..., colour, :], -1))
        log_p = torch.stack(masses)
        found.append(-(log_p.exp() * log_p).sum(0))
        posterior = weights + mixture.log_masses(x)[..., colour, :]
        weights = posterior.log_softmax(-1)
    return torch.stack(found, -1).flatten(1)


@pytest.mark.parametrize(("channels", "scales"), [(1, 3), (3, 2)])
def test_samples_follow_the_model(channels, scales):
    """The mean NLL of samples is the entropy: estimated again by the exact entropies of the conditionals."""
    network = network_of((channels, 8, 8), scales=scales)
    v = network.sample(150)
    x = scaled(v.double())
    with torch.no_grad():
        mixture = network(x)
        nll = -mixture.log_prob(x.permute(0, 2, 3, 1)).flatten(1).sum(1)
        entropy = conditional_entropies(mixture, x.permute(0, 2, 3, 1)).sum(1)
    difference = nll - entropy
    assert float(difference.mean().abs()) < 4 * float(difference.std()) / len(v) ** 0.5
    assert float(difference.std()) / len(v) ** 0.5 < 0.02 * float(entropy.mean())


@pytest.mark.parametrize(("channels", "blocks", "scales"), [(1, 2, 1), (3, 1, 2), (3, 2, 3)])
def test_cached_sampling_draws_what_whole_images_would(channels, blocks, scales, monkeypatch):
    """The mixtures met while sampling, row by row and pixel by pixel, are those of the finished images."""
    side = 8
    network = network_of((channels, side, side), blocks=blocks, scales=scales)
    met = []
    real = LogisticMixture.sample
    monkeypatch.setattr(LogisticMixture, "sample", lambda self: (met.append(self.means), real(self))[1])
    v = network.sample(3)
    with torch.no_grad():
        wanted = network(scaled(v.double())).means
    found = torch.cat(met, 1).reshape(3, side, side, channels, -1)
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=1e-10)


def test_first_outputs_are_centred_and_scaled():
    method = PixelCNN(ShiftedUNet((3, 8, 8), 8, 1, 2, 3, dropout=0.0))
    batch = Batch(torch.rand(64, 3, 8, 8), None, 0)
    method.initialise(batch)
    block: Any = method.network.right.inward[0]
    layer = block.second.conv
    seen = {}
    layer.register_forward_hook(lambda module, inputs, output: seen.update(output=output))
    method.log_prob_by(method.network, batch.x)
    sd, mean = torch.std_mean(seen["output"].transpose(0, 1).flatten(1), 1)
    assert torch.allclose(mean, torch.zeros_like(mean), atol=1e-4)
    assert torch.allclose(sd, torch.full_like(sd, 0.1), rtol=0.02)


def test_levels_and_values_are_inverse():
    v = torch.arange(256)
    assert torch.equal(levels_of(scaled(v.float())), v)


def test_trained_on_patches_it_beats_every_factorised_model_by_a_bit(tmp_path):
    """The best factorised model of all: each sub-pixel's own histogram, of training and test images alike."""
    data = load("patches", load_file("datasets.yml", Dataset)["patches"], tmp_path, torch.device("cpu"))
    method = PixelCNN(ShiftedUNet((3, 32, 32), 16, 1, 1, 5, dropout=0.0))
    settings = Settings(steps=100, batch_size=16, learning_rate=4e-3, decay_from=0.5)
    Trainer(method, data.train, settings, tmp_path, seed=0).run()
    method.eval()
    with torch.no_grad():
        nll = -float(method.log_prob(data.test_x[:32]).mean()) / (3072 * BITS)
    v = (data.test_x * 256).floor().long().flatten(1).numpy()
    counts = numpy.apply_along_axis(numpy.bincount, 0, v, minlength=256) / len(v)
    entropy = -(counts * numpy.log2(numpy.where(counts > 0, counts, 1))).sum(0).mean()
    pooled = numpy.bincount(v.ravel(), minlength=256) / v.size
    assert entropy < -(pooled * numpy.log2(numpy.where(pooled > 0, pooled, 1))).sum()
    assert nll < entropy - 1, (nll, entropy)
