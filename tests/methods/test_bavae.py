"""BAVAE on discrete tables with exact critics, and its losses against hand-written ones."""

import pytest
import torch

from methods.bavae import BAVAE, exp_below
from methods.training.game import Batch, gradient
from tests.helpers.small import method_of


def tables(seed, n_x=5, n_z=4):
    """Random p(x), p(z), q(z|x) [x, z], p(x|z) [x, z] in float64."""
    generator = torch.Generator().manual_seed(seed)

    def simplex(*shape, dim):
        return torch.rand(*shape, generator=generator, dtype=torch.float64).add(0.05).log().softmax(dim)

    return simplex(n_x, dim=0), simplex(n_z, dim=0), simplex(n_x, n_z, dim=1), simplex(n_x, n_z, dim=0)


def value(critic, positive, negative):
    """1 + E_positive T - E_negative exp T on tables of pairs."""
    return 1 + (positive * critic).sum() - (negative * critic.exp()).sum()


def kl(p, q):
    return (p * (p / q).log()).sum()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pairing", ["joint", "independent"])
def test_best_critics_reach_the_divergences(seed, pairing):
    p_x, p_z, encoder, decoder = tables(seed)
    together = p_x[:, None] * encoder
    q_z = together.sum(0)
    pairs = {
        "z": (together, p_x[:, None] * p_z),
        "x": (together if pairing == "joint" else p_x[:, None] * q_z, q_z * decoder),
    }
    for positive, negative in pairs.values():
        best = (positive / negative).log()
        assert value(best, positive, negative).item() == pytest.approx(kl(positive, negative).item(), abs=1e-10)
        for scale in (-0.3, 0.2):
            assert value(best + scale * torch.sin(best), positive, negative) < value(best, positive, negative)
    expected = (p_x * (encoder * (encoder / p_z).log()).sum(1)).sum()
    assert kl(*pairs["z"]).item() == pytest.approx(expected.item(), abs=1e-10)
    if pairing == "joint":  # KL(q(x,z) || q(z)p(x|z)) = -E log p(x|z) - H_q(x|z)
        entropy = -(together * (together / q_z).log()).sum()
        assert kl(*pairs["x"]).item() == pytest.approx((-(together * decoder.log()).sum() - entropy).item(), abs=1e-10)


def test_joint_pairs_ask_for_the_elbo_and_the_information_of_codes():
    p_x, p_z, encoder, decoder = tables(3)
    together = p_x[:, None] * encoder
    q_z = together.sum(0)
    v_z, v_x = kl(together, p_x[:, None] * p_z), kl(together, q_z * decoder)
    elbo = (together * (decoder.log() + (p_z / encoder).log())).sum()
    information = kl(together, p_x[:, None] * q_z)
    assert (v_z + v_x).item() == pytest.approx((-elbo + (p_x * p_x.log()).sum() + information).item(), abs=1e-10)


def test_the_ceiling_changes_nothing_below_and_bounds_the_slope_above():
    t = torch.tensor([-3.0, 0.0, 0.99, 1.0, 2.0, 500.0], dtype=torch.float64, requires_grad=True)
    found = exp_below(t, 1.0)
    assert torch.allclose(found[:4], t[:4].exp(), atol=1e-12)
    (slope,) = torch.autograd.grad(found.sum(), t)
    assert slope.max().item() == pytest.approx(torch.e, abs=1e-12)
    assert found[5].item() == pytest.approx(torch.e * 500, rel=1e-12)


class TableCritic(torch.nn.Module):
    """A number for each pair of indices."""

    def __init__(self, n_x, n_z):
        super().__init__()
        self.numbers = torch.nn.Parameter(torch.zeros(n_x, n_z, dtype=torch.float64))

    def forward(self, x, z):
        return self.numbers[x, z]


class First(torch.nn.Module):
    """The first of the pair is the critic's number."""

    def forward(self, x, z):
        return x


def pairs_of(counts):
    """A batch in which pair (x, z) stands counts[x, z] times: its mean is the expectation."""
    cells = counts.nonzero()
    return cells.repeat_interleave(counts[cells[:, 0], cells[:, 1]], dim=0).T.unbind(0)


@pytest.mark.parametrize("ceiling", [0.0, 1.0, 5.0, 50.0])
def test_ascent_of_the_method_s_value_stays_below_the_divergence(ceiling):
    positive = torch.tensor([[90, 10], [20, 30]])  # log ratios up to 2.2
    negative = torch.tensor([[10, 50], [70, 20]])
    expected = kl(positive / 150, negative / 150).item()
    method = method_of("bavae-mnist")[0]
    assert isinstance(method, BAVAE)
    method.ceiling = ceiling
    critic = TableCritic(2, 2)
    optimiser = torch.optim.Adam(critic.parameters(), 0.05)
    for _ in range(2000):
        optimiser.zero_grad()
        found = method.value(critic, pairs_of(positive), pairs_of(negative), most=ceiling)
        assert found.item() <= min(expected, 1 + ceiling) + 1e-9
        (-found).backward()
        optimiser.step()
    if ceiling > 2.2:
        assert found.item() == pytest.approx(expected, abs=1e-6)
    else:
        assert found.item() < expected - 0.01


def test_the_logarithm_reaches_the_divergence_without_a_ceiling_and_its_gradient_does_not_vanish():
    positive, negative = torch.tensor([[90, 10], [20, 30]]), torch.tensor([[10, 50], [70, 20]])
    expected = kl(positive / 150, negative / 150).item()
    method = method_of("bavae-dv-mnist")[0]
    assert isinstance(method, BAVAE)
    method.ceiling = 0.0  # means nothing here
    critic = TableCritic(2, 2)
    optimiser = torch.optim.Adam(critic.parameters(), 0.05)
    for _ in range(2000):
        optimiser.zero_grad()
        found = method.value(critic, pairs_of(positive), pairs_of(negative), most=0.0)
        assert found.item() <= expected + 1e-9
        (-found).backward()
        optimiser.step()
    assert found.item() == pytest.approx(expected, abs=1e-6)
    slopes = {}
    for bound in ("f-gan", "donsker-varadhan"):  # a critic that wins by 100 nats
        method.bound = bound
        t = torch.full((4,), -100.0, dtype=torch.float64, requires_grad=True)
        value = method.value(First(), (torch.zeros(4), torch.zeros(4)), (t, torch.zeros(4)))
        slopes[bound] = torch.autograd.grad(value, t)[0].abs().sum().item()
    assert slopes["f-gan"] < 1e-40
    assert slopes["donsker-varadhan"] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("pairing", ["joint", "independent"])
def test_losses_are_the_written_ones(pairing):
    method = method_of("bavae-mnist")[0].eval()
    assert isinstance(method, BAVAE)
    method.pairing, method.ceiling = pairing, 50.0  # far above every log ratio here
    x = torch.rand(6, 1, 8, 8)

    def v_z():
        z = method.encoder(x).rsample()
        prior = method.decoder.sample_prior(6)
        return z, 1 + method.critic_z(x, z).mean() - method.critic_z(x, prior).exp().mean()

    def v_x(z):
        partner = z if pairing == "joint" else z.roll(1, 0)
        return 1 + method.critic_x(x, partner).mean() - method.critic_x(method.decoder.generate(z), z).exp().mean()

    def model():
        z, value = v_z()
        return value + v_x(z)

    written = {"model": model, "critic_z": lambda: -v_z()[1], "critic_x": lambda: -v_x(method.encoder(x).rsample())}
    for name, player in method.players().items():
        torch.manual_seed(2)
        loss, found = gradient(player, Batch(x))
        torch.manual_seed(2)
        expected = written[name]()
        assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
        for a, b in zip(found, torch.autograd.grad(expected, player.parameters()), strict=True):
            assert a is not None
            assert torch.allclose(a, b, atol=1e-6)


def test_stochastic_and_deterministic_networks():
    stochastic, point = method_of("bavae-mnist")[0], method_of("bavae-point-mnist")[0]
    x = torch.rand(3, 1, 8, 8)
    assert not torch.equal(stochastic.encode(x), stochastic.encode(x))
    assert torch.equal(point.encode(x), point.encode(x))
    z = torch.zeros(3, point.decoder.latent_dim)
    assert not torch.equal(stochastic.decoder.generate(z), stochastic.decoder.generate(z))
    assert torch.equal(point.decoder.generate(z), point.decoder.generate(z))
