"""KL divergences against closed forms, exact mixtures and known posteriors: what is shown is or encloses the truth."""

import math
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from torch.distributions import Independent, Normal

from benchmarks.errors import NotRunError
from benchmarks.metrics import aggregated_kl, aggregated_kl_knn
from benchmarks.metrics.estimators.aggregated_posterior import mixture_of, moment_kl_of_draws
from benchmarks.metrics.trained import Trained
from methods.method import Method
from methods.networks.bodies import MLP
from methods.networks.encoders import ImplicitPosterior
from methods.networks.flows import PlanarFlowEncoder
from methods.training.minibatches import Images

CPU = torch.device("cpu")


class Coded(Method):
    """A method that is nothing but an encoder."""

    def __init__(self, encoder: Any):
        super().__init__()
        self.encoder = encoder

    def players(self):
        return {}


def trained(encoder, latent: int, pixels: torch.Tensor, pixels_as="grey", **more) -> Trained:
    """The encoder and uint8 training images [n, 1, side, side] as a metric sees them."""
    data: Any = SimpleNamespace(train=Images(pixels, None, pixels_as), test_x=pixels.float() / 255, pixels="")
    return Trained(Coded(encoder), latent, "images", data, None, None, None, CPU, **more)  # type: ignore[arg-type]


def gaussian_by_first_pixel(sd, latent=2):
    """q(z|x) = N(4 x - 2, sd^2 I), x the first pixel."""

    class Encoder(torch.nn.Module):
        def forward(self, x):
            mean = (4 * x.flatten(1)[:, :1] - 2).expand(-1, latent)
            return Independent(Normal(mean, torch.full_like(mean, sd)), 1)

    return Encoder()


def quadrature_kl(means, sd) -> float:
    """KL(mixture || N(0, I)) in the plane on a fine grid: other arithmetic than the metric's."""
    axis = numpy.linspace(-7, 7, 1401)
    x, y = numpy.meshgrid(axis, axis, indexing="ij")
    q = numpy.mean([numpy.exp(-((x - m) ** 2 + (y - m) ** 2) / (2 * sd**2)) for m in means], 0) / (2 * math.pi * sd**2)
    log_p = -(x**2 + y**2) / 2 - math.log(2 * math.pi)
    return float((q * (numpy.log(numpy.maximum(q, 1e-300)) - log_p)).sum() * (axis[1] - axis[0]) ** 2)


FOUR = torch.tensor([0, 85, 170, 255], dtype=torch.uint8).reshape(4, 1, 1, 1)


@pytest.mark.parametrize("sd", [0.2, 0.7])
def test_a_mixture_in_the_plane_is_integrated(sd):
    found = aggregated_kl.evaluate(trained(gaussian_by_first_pixel(sd), 2, FOUR))
    truth = quadrature_kl([4 * v / 255 - 2 for v in (0, 85, 170, 255)], sd)
    assert found.value == pytest.approx(truth, abs=1e-3)
    assert found.standard_error is not None


@pytest.mark.parametrize("latent", [1, 5, 16])
def test_a_mixture_of_many_images_against_its_closed_form(latent):
    """Every image has the same q(z|x) = N(2, 0.5^2 I): the KL is that of one Gaussian."""
    pixels = torch.full((300, 1, 2, 2), 255, dtype=torch.uint8)
    found = aggregated_kl.evaluate(trained(gaussian_by_first_pixel(0.5, latent), latent, pixels), n=4000)
    truth = latent * (0.5 * (0.25 + 4 - 1) + math.log(2))
    assert abs(found.value - truth) < 4 * found.standard_error + 1e-6
    assert found.low is None


def test_sharp_codes_are_a_mixture_with_as_many_spikes():
    """Codes of sd 0.01 on a circle: KL = -log N - H(spike) - E log p, far above what neighbours of few draws show."""
    random = numpy.random.default_rng(0)
    pixels = torch.from_numpy(random.integers(0, 256, (400, 1, 4, 4)).astype(numpy.uint8))
    weight = torch.from_numpy(random.normal(size=(16, 8)).astype(numpy.float32))

    class Encoder(torch.nn.Module):
        def forward(self, x):
            mean = x.flatten(1) @ weight
            return Independent(Normal(mean, torch.full_like(mean, 0.01)), 1)

    found = aggregated_kl.evaluate(trained(Encoder(), 8, pixels), n=4000)
    mean = (pixels.float() / 255).flatten(1) @ weight
    spikes = -math.log(400) - 8 * (0.5 + math.log(0.01)) + 0.5 * float(mean.square().sum(1).mean() + 8 * 1e-4)
    assert found.value == pytest.approx(spikes, abs=4 * found.standard_error)
    as_printed = aggregated_kl_knn.evaluate(trained(Encoder(), 8, pixels), n=4000)
    assert as_printed.value < 0.8 * spikes
    assert as_printed.details["error"] == pytest.approx(as_printed.value - spikes, rel=0.05)
    assert "as the paper measured it" in as_printed.warning


def test_bits_drawn_anew_enclose_the_truth():
    """z = x + noise for one pixel of probability 1/2: q(z) is two Gaussians, whatever bits are drawn."""
    pixels = torch.full((500, 1, 1, 1), 128, dtype=torch.uint8)
    found = aggregated_kl.evaluate(trained(gaussian_by_first_pixel(0.5), 2, pixels, "binarised"), n=20_000)
    share = 128 / 255
    axis = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    both = [
        torch.log(torch.tensor(w)) + Independent(Normal(torch.full((2,), m), torch.tensor(0.5)), 1).log_prob(grid)
        for w, m in ((share, 2.0), (1 - share, -2.0))
    ]
    log_q = torch.logaddexp(*both)
    log_p = -0.5 * grid.square().sum(1) - math.log(2 * math.pi)
    truth = float((log_q.exp() * (log_q - log_p)).sum() * 0.01**2)
    assert found.low - 3 * found.standard_error <= truth <= found.high + 3 * found.standard_error
    assert found.high - found.low < 0.05
    assert found.kind is None


def test_codes_too_sharp_for_the_inputs_drawn_are_not_resolved():
    """Each draw of dequantised pixels has a spike of its own: with it the KL is large, without it very small."""
    pixels = torch.randint(0, 256, (100, 1, 4, 4), dtype=torch.uint8)

    class Encoder(torch.nn.Module):
        def forward(self, x):
            mean = 3 * (x.flatten(1)[:, :4] - 0.5)
            return Independent(Normal(mean, torch.full_like(mean, 1e-4)), 1)

    found = aggregated_kl.evaluate(trained(Encoder(), 4, pixels, "levels"), n=1000)
    assert found.kind == "lower bound"
    assert "not resolved by 1000 draws" in found.warning
    assert found.value == found.low < found.high
    assert found.value >= found.details["gaussian moment KL"] > 0


def test_a_part_of_the_images_encloses_the_whole(tmp_path):
    pixels = torch.randint(0, 256, (3000, 1, 1, 1), dtype=torch.uint8)
    whole = aggregated_kl.evaluate(trained(gaussian_by_first_pixel(0.3), 2, pixels), n=20_000)
    part = aggregated_kl.evaluate(trained(gaussian_by_first_pixel(0.3), 2, pixels), n=20_000, images=300)
    assert part.low - 0.03 <= whole.value <= part.high + 0.03
    assert "with and without" in part.details["estimator"]


def test_a_flow_has_a_mixture_too():
    """A planar flow's density at codes of other images, image by image and code by code."""
    torch.manual_seed(0)
    encoder = PlanarFlowEncoder(3, MLP((1, 1, 1), [8]), 2)
    pixels = torch.arange(0, 200, 5, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    flow = trained(encoder, 3, pixels)
    x = pixels.float() / 255
    mixture = mixture_of(flow.method, flow.data.train, torch.arange(len(x)))
    with torch.no_grad():
        z = mixture.draw(50)
        one_by_one = [[encoder(image[None]).log_prob(code[None].float()) for image in x] for code in z]
        expected = torch.tensor(one_by_one).double().logsumexp(1) - math.log(len(x))
        assert torch.allclose(mixture.log_density(z), expected, atol=1e-4)
    found = aggregated_kl.evaluate(flow, n=2000)
    z = flow.method.encode(x.repeat(100, 1, 1, 1)).double().detach()
    assert found.value >= moment_kl_of_draws(z)[0] - 0.05
    assert found.low is None


def implicit(draw, latent, n=500):
    """An encoder that only draws, of n images."""

    class Encoder(torch.nn.Module):
        def forward(self, x):
            return ImplicitPosterior(lambda k: torch.stack([draw(x) for _ in range(max(k, 1))]))

    pixels = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8)
    return trained(Encoder(), latent, pixels)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 1.0), (0.5, 1.15), (0.0, 3.0), (0.0, 0.3)])
def test_gaussian_draws_have_their_closed_form(shift, scale):
    """Where k-NN alone loses up to nine tenths; q(z|x) does not depend on x."""
    found = aggregated_kl.evaluate(implicit(lambda x: shift + scale * torch.randn(len(x), 16), 16), n=4000)
    truth = 16 * (0.5 * (scale**2 + shift**2 - 1) - math.log(scale))
    assert found.value == pytest.approx(truth, abs=0.15 + 0.02 * truth)
    assert found.value >= found.details["gaussian moment KL"]


def test_spikes_of_an_implicit_encoder_show_a_bound_only():
    """Codes of sd 0.01 around 500 centres: of fewer draws than images, and of many more."""
    centres = torch.randn(16, 16)
    coded = implicit(lambda x: x.flatten(1) @ centres + 0.001 * torch.randn(len(x), 16), 16)
    for n in (300, 4000):
        found = aggregated_kl.evaluate(coded, n=n)
        assert found.kind == "lower bound"
        assert found.low == found.value == found.details["gaussian moment KL"]
        assert found.high is None
        assert f"not resolved by {n} draws" in found.warning


def test_a_point_encoder_is_not_resolved():
    found = aggregated_kl.evaluate(implicit(lambda x: 2 * x.flatten(1)[:, :3], 3, n=50), n=1000)
    assert found.kind == "lower bound"


def test_filaments_in_the_plane_are_not_resolved():
    """A curve: its KL grows without end as neighbours come nearer."""
    angle = implicit(lambda x: torch.nn.functional.pad(torch.rand(len(x), 1), (0, 1)), 2, n=4)

    class Curve(torch.nn.Module):
        def forward(self, x):
            def draw(k):
                t = 2 * math.pi * torch.rand(max(k, 1), len(x), 1)
                return 1.4 * torch.cat([t.cos(), t.sin()], 2) + 1e-4 * torch.randn(max(k, 1), len(x), 2)

            return ImplicitPosterior(draw)

    angle.method.encoder = Curve()
    found = aggregated_kl.evaluate(angle, n=1000)
    assert found.kind == "lower bound"


def test_a_posterior_that_has_shrunk_to_a_point_has_no_number():
    class Encoder(torch.nn.Module):
        def forward(self, x):
            mean = (4 * x.flatten(1)[:, :1] - 2).expand(-1, 2)
            return Independent(Normal(mean, torch.zeros_like(mean), validate_args=False), 1)

    with pytest.raises(NotRunError, match=r"of 4 of 4 inputs has a standard deviation of 0: its KL is infinite"):
        aggregated_kl.evaluate(trained(Encoder(), 2, FOUR))
