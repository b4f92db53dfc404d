"""Objectives against closed forms and gradients written out by hand from the equations."""

import math

import pytest
import torch
from torch import nn

from methods.aae import AAE
from methods.avb import AVB, AdaptiveContrast, JensenShannon, PriorContrast, Reference, ReverseKL
from methods.networks.bodies import MLP, UpConv
from methods.networks.decoders import BernoulliDecoder
from methods.networks.encoders import FullRankGaussian, ImplicitPosterior, MeanFieldGaussian
from methods.networks.flows import IAFEncoder, constrained, planar_layer
from methods.terms import gaussian_kl, log_normal, log_standard_normal, says_one, says_zero, softplus
from methods.training.game import Batch, Player, gradient, play_round


class LinearSampler(nn.Module):
    """z = a x + s eps with a remembered eps, so that a test can repeat the draw."""

    def __init__(self, eps):
        super().__init__()
        self.a, self.s, self.eps = nn.Parameter(torch.tensor(0.7)), nn.Parameter(torch.tensor(0.4)), eps

    def forward(self, x):
        z = self.a * x + self.s * self.eps
        return ImplicitPosterior(lambda n: z[None].expand(max(n, 1), *z.shape), moments=(0.2 + 0 * z, 1.5 + 0 * z))


class LinearDecoder(nn.Module):
    """log p(x|z) = -(x - w z)^2 / 2 up to a constant."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.3))

    def log_likelihood(self, x, z):
        return -0.5 * (x - self.w * z).square().sum(1)

    def log_prior(self, z):
        return log_standard_normal(z)


class QuadraticCritic(nn.Module):
    """T(x, z) = c z^2 + d x z."""

    def __init__(self):
        super().__init__()
        self.c, self.d = nn.Parameter(torch.tensor(0.3)), nn.Parameter(torch.tensor(-0.2))

    def forward(self, x, z):
        return (self.c * z.square() + self.d * x * z).sum(1)


def tiny(contrast, divergence):
    eps = torch.tensor([[0.5], [-1.0], [0.2]])
    method = AVB(LinearSampler(eps), LinearDecoder(), QuadraticCritic(), contrast, divergence)
    return method, Batch(torch.tensor([[1.0], [0.0], [2.0]]), None, 10), eps


@pytest.mark.parametrize("adaptive", [False, True], ids=["prior", "adaptive"])
def test_avb_model_gradient_is_the_papers(adaptive):
    method, batch, eps = tiny(AdaptiveContrast() if adaptive else PriorContrast(), JensenShannon())
    _, (ga, gs, gw) = gradient(method.players()["model"], batch)
    a, s, w, c, d = 0.7, 0.4, 1.3, 0.3, -0.2
    m, v = (0.2, 1.5 + 1e-4) if adaptive else (0.0, 1.0)
    x = batch.x
    z = a * x + s * eps
    zn = (z - m) / math.sqrt(v)
    # eq. 4.2: d/dz [T(x, zn) + log r(z) - log p(z) - log p(x|z)]
    slope = (2 * c * zn + d * x) / math.sqrt(v) - zn / math.sqrt(v) + z - w * (x - w * z)
    assert torch.allclose(ga, (slope * x).mean(), atol=1e-6)
    assert torch.allclose(gs, (slope * eps).mean(), atol=1e-6)
    assert torch.allclose(gw, (-(x - w * z) * z).mean(), atol=1e-6)


@pytest.mark.parametrize("adaptive", [False, True], ids=["prior", "adaptive"])
def test_avb_adversary_gradient_is_the_papers(adaptive):
    method, batch, eps = tiny(AdaptiveContrast() if adaptive else PriorContrast(), JensenShannon())
    torch.manual_seed(4)
    _, (gc, gd) = gradient(method.players()["adversary"], batch)
    torch.manual_seed(4)
    z_r = torch.randn(3, 1)
    m, v = (0.2, 1.5 + 1e-4) if adaptive else (0.0, 1.0)
    zn = (0.7 * batch.x + 0.4 * eps - m) / math.sqrt(v)

    def t(z):
        return 0.3 * z.square() - 0.2 * batch.x * z

    # eq. 3.3: d/dT is sigma(T) - 1 on encoder samples (label 1), sigma(T) on the reference's
    on_q, on_r = torch.sigmoid(t(zn)) - 1, torch.sigmoid(t(z_r))
    assert torch.allclose(gc, (on_q * zn.square() + on_r * z_r.square()).mean(), atol=1e-6)
    assert torch.allclose(gd, (on_q * batch.x * zn + on_r * batch.x * z_r).mean(), atol=1e-6)


def test_aae_gradients_are_the_papers():
    eps = torch.tensor([[0.5], [-1.0], [0.2]])
    method = AAE(LinearSampler(eps), LinearDecoder(), QuadraticCritic())
    batch = Batch(torch.tensor([[1.0], [0.0], [2.0]]))
    z = 0.7 * batch.x + 0.4 * eps
    _, (ga, _, gw) = gradient(method.players()["reconstruction"], batch)
    assert torch.allclose(ga, (-1.3 * (batch.x - 1.3 * z) * batch.x).mean(), atol=1e-6)
    assert torch.allclose(gw, (-(batch.x - 1.3 * z) * z).mean(), atol=1e-6)
    _, (ga, gs) = gradient(method.players()["encoder"], batch)
    t = 0.3 * z.square() - 0.2 * batch.x * z
    slope = torch.sigmoid(t) * (0.6 * z - 0.2 * batch.x)
    assert torch.allclose(ga, (slope * batch.x).mean(), atol=1e-6)
    assert torch.allclose(gs, (slope * eps).mean(), atol=1e-6)


def optimum(loss, width=2, steps=4000):
    """T(x) = a + b x fitted on a fixed large sample: the log ratio of two Gaussians of equal variance is linear."""
    torch.manual_seed(0)
    ones, zeros = torch.randn(200_000), 1 + torch.randn(200_000)
    a, b = torch.zeros((), requires_grad=True), torch.zeros((), requires_grad=True)
    solver = torch.optim.LBFGS([a, b], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        value = loss(a + b * ones, a + b * zeros)
        value.backward()
        return value

    solver.step(closure)
    return float(a.detach()), float(b.detach()), float(closure().detach())


def test_optimal_critic_gives_the_log_ratio():
    # N(0,1) labelled 1 against N(1,1): T* = 1/2 - x, loss 2 log 2 - 2 JSD = 1.163451
    a, b, value = optimum(JensenShannon().loss)
    assert abs(a - 0.5) < 0.03
    assert abs(b + 1) < 0.03
    assert abs(value - 1.163451) < 0.006


def test_optimal_f_gan_critic_has_its_offset_of_one():
    a, b, value = optimum(ReverseKL().loss)
    assert abs(a - 1.5) < 0.05
    assert abs(b + 1) < 0.05
    assert abs(-value - 0.5) < 0.02  # the objective is minus the KL
    t_equal = torch.ones(8)
    assert float(ReverseKL().kl(t_equal, t_equal).mean()) == pytest.approx(0.0, abs=1e-6)


def test_equal_densities_cost_two_log_two():
    zero = torch.zeros(5)
    assert float(says_one(zero) + says_zero(zero)) == pytest.approx(2 * math.log(2))


def test_reference_density_is_normalised_by_its_own_moments():
    r = Reference(torch.tensor([[1.0, -2.0]]), torch.tensor([[4.0, 0.25]]))
    z = torch.tensor([[3.0, -1.5]])
    assert torch.allclose(r.normalise(z), torch.tensor([[1.0, 1.0]]))
    change = 0.5 * torch.tensor([4.0, 0.25]).log().sum()
    assert torch.allclose(r.log_prob(z), log_standard_normal(r.normalise(z)) - change)


def test_planar_layer_anchor():
    u, w = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 1.0]])
    z, log_det = planar_layer(torch.tensor([[0.2, -0.7]]), constrained(u, w), w, torch.tensor([0.3]))
    assert torch.allclose(z, torch.tensor([[-0.17304483, -0.2808392]]), atol=1e-6)
    assert float(log_det) == pytest.approx(-1.312360960, abs=1e-5)


def test_iaf_log_density_is_its_jacobian():
    torch.manual_seed(2)
    encoder = IAFEncoder(3, MLP((4,), [8]), layers=3, hidden=16, context=4).double()
    x = torch.rand(1, 4, dtype=torch.float64)
    mean, log_sd = encoder.mean(encoder.body(x)), encoder.log_sd(encoder.body(x))
    context = encoder.context(encoder.body(x))

    def push(e):
        z = mean[0] + log_sd[0].exp() * e
        for step in encoder.steps:
            m, s = step(z[None], context)
            gate = torch.sigmoid(s[0])
            z = (gate * z + (1 - gate) * m[0]).flip(0)
        return z

    torch.manual_seed(7)
    z, log_q = encoder(x).rsample_with_log_prob()
    torch.manual_seed(7)
    e = torch.randn_like(mean)[0]
    jacobian = torch.autograd.functional.jacobian(push, e)
    assert torch.allclose(push(e), z[0])
    assert torch.allclose(log_standard_normal(e) - torch.linalg.slogdet(jacobian)[1], log_q[0], atol=1e-9)


def test_gaussian_kl_and_encoders():
    q = MeanFieldGaussian(3)(torch.zeros(2, 0))
    exact = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.mean, q.stddev), torch.distributions.Normal(0.0, 1.0)
    ).sum(1)
    assert torch.allclose(gaussian_kl(q.mean, q.stddev), exact, atol=1e-6)
    full = FullRankGaussian(3, 0.5)
    with torch.no_grad():
        full.lower.copy_(torch.randn(3, 3))
    q = full(torch.zeros(2, 0))
    scale = full.lower.tril(-1) + full.log_diagonal.exp().diag()
    assert torch.allclose(q.covariance_matrix[0], scale @ scale.T, atol=1e-5)


def test_decoder_log_likelihood_is_its_distributions():
    decoder = BernoulliDecoder((1, 2, 2), 2, MLP((2,), [8]))
    z, x = torch.randn(5, 2), torch.bernoulli(torch.full((5, 1, 2, 2), 0.5))
    assert torch.allclose(decoder.log_likelihood(x, z), decoder(z).log_prob(x), atol=1e-5)
    assert torch.allclose(log_normal(z, torch.zeros(2), torch.ones(2)), log_standard_normal(z))


def test_schedules_take_gradients_before_or_between_moves():
    a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        a.weight.fill_(1.0)
        b.weight.fill_(1.0)

    def product(batch):
        return (a.weight * b.weight).sum()

    def play(simultaneous):
        with torch.no_grad():
            a.weight.fill_(1.0)
            b.weight.fill_(1.0)
        players = {"a": Player((a,), product), "b": Player((b,), product, steps=2)}
        optimisers = {n: torch.optim.SGD(p.parameters(), lr=0.1) for n, p in players.items()}
        drawn = []

        def batches():
            while True:
                drawn.append(1)
                yield Batch(torch.zeros(1, 1))

        play_round(players, optimisers, batches(), 0, simultaneous)
        return a.weight.item(), b.weight.item(), len(drawn)

    assert play(False) == pytest.approx((0.9, 1 - 2 * 0.09, 2))
    assert play(True) == pytest.approx((0.9, 1 - 0.1 - 0.09, 2))


def test_softplus_is_pytorchs_with_both_derivatives():
    t = torch.cat([torch.linspace(-30, 30, 61), torch.tensor([-1e4, 0.0, 1e4])]).double().requires_grad_()
    torch.testing.assert_close(softplus(t), torch.nn.functional.softplus(t))
    assert torch.autograd.gradcheck(softplus, t)
    assert torch.autograd.gradgradcheck(softplus, t)
    rounded = torch.linspace(-9, 9, 50).bfloat16()
    torch.testing.assert_close(softplus(rounded), torch.nn.functional.softplus(rounded.float()))


@pytest.mark.parametrize("channels_last", [False, True])
def test_sub_pixel_convolution_is_the_transposed_one(channels_last):
    layer = UpConv(3, 4, 5, 2, 2, 1).double()
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    torch.testing.assert_close(layer(x), torch.nn.ConvTranspose2d.forward(layer, x))


def test_an_optimiser_step_does_not_depend_on_the_memory_layout():
    moved = []
    for memory in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        layer = UpConv(4, 3, 5, 2, 2, 1)
        layer.weight.data = layer.weight.data.contiguous(memory_format=memory)
        x = torch.randn(2, 4, 3, 3)
        player = Player((layer,), lambda batch, layer=layer: (layer(batch.x) ** 2).mean())
        optimiser = torch.optim.Adam(player.parameters(), lr=0.1, fused=True)
        for _ in range(3):
            play_round({"p": player}, {"p": optimiser}, iter(lambda x=x: Batch(x), None), 0)
        moved.append(layer.weight.detach().clone())
    torch.testing.assert_close(moved[1], moved[0], atol=1e-4, rtol=1e-4)
