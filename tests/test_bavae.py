"""BAVAE on discrete tables with exact critics, and its losses against hand-written ones (facts 2.12)."""

import pytest
import torch
from small import method_of

from methods.bavae import BAVAE, exp_below
from methods.game import Batch, gradient


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


def test_ascent_reaches_the_best_critic():
    p_x, p_z, encoder, _ = tables(7)
    positive, negative = p_x[:, None] * encoder, p_x[:, None] * p_z
    critic = torch.zeros_like(positive, requires_grad=True)
    optimiser = torch.optim.LBFGS([critic], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure():
        optimiser.zero_grad()
        loss = -value(critic, positive, negative)
        loss.backward()
        return loss

    optimiser.step(closure)
    assert value(critic, positive, negative).item() == pytest.approx(kl(positive, negative).item(), abs=1e-8)


def test_equal_pairs_have_value_zero():
    method = method_of("bavae-mnist")[0]
    assert isinstance(method, BAVAE)
    x, z = torch.rand(6, 1, 8, 8), torch.randn(6, method.decoder.latent_dim)
    method.critic_z.forward = lambda x, z: torch.zeros(len(x))
    assert method.value(method.critic_z, (x, z), (x, z)).item() == 0


def test_the_ceiling_changes_nothing_below_and_bounds_the_slope_above():
    t = torch.tensor([-3.0, 0.0, 0.99, 1.0, 2.0, 500.0], dtype=torch.float64, requires_grad=True)
    found = exp_below(t, 1.0)
    assert torch.allclose(found[:4], t[:4].exp(), atol=1e-12)
    assert found.isfinite().all()
    (slope,) = torch.autograd.grad(found.sum(), t)
    assert slope.max().item() == pytest.approx(torch.e, abs=1e-12)
    assert found[5].item() == pytest.approx(torch.e * 500, rel=1e-12)


@pytest.mark.parametrize("pairing", ["joint", "independent"])
def test_losses_are_the_written_ones(pairing):
    method = method_of("bavae-mnist")[0].eval()
    assert isinstance(method, BAVAE)
    method.pairing, method.ceiling = pairing, 50.0
    x = torch.rand(6, 1, 8, 8)
    torch.manual_seed(2)
    loss, found = gradient(method.players()["model"], Batch(x))
    torch.manual_seed(2)
    z = method.encoder(x).rsample()
    prior = method.decoder.sample_prior(6)
    fake = method.decoder.generate(z)
    partner = z if pairing == "joint" else z.roll(1, 0)
    v_z = 1 + method.critic_z(x, z).mean() - method.critic_z(x, prior).exp().mean()
    v_x = 1 + method.critic_x(x, partner).mean() - method.critic_x(fake, z).exp().mean()
    assert loss.item() == pytest.approx((v_z + v_x).item(), abs=1e-6)
    own = method.players()["model"].parameters()
    for a, b in zip(found, torch.autograd.grad(v_z + v_x, own, allow_unused=True), strict=True):
        assert a is None or torch.allclose(a, b, atol=1e-6)
    for name, critic in (("critic_z", method.critic_z), ("critic_x", method.critic_x)):
        torch.manual_seed(2)
        ascent, _ = gradient(method.players()[name], Batch(x))
        expected = v_z if critic is method.critic_z else v_x
        if name == "critic_z" or pairing == "joint":
            assert ascent.isfinite()
        assert abs(ascent.item() + expected.item()) < 1.0


def test_stochastic_and_deterministic_networks():
    stochastic, point = method_of("bavae-mnist")[0], method_of("bavae-point-mnist")[0]
    x = torch.rand(3, 1, 8, 8)
    assert not torch.equal(stochastic.encode(x), stochastic.encode(x))
    assert torch.equal(point.encode(x), point.encode(x))
    z = torch.zeros(3, point.decoder.latent_dim)
    assert not torch.equal(stochastic.decoder.generate(z), stochastic.decoder.generate(z))
    assert torch.equal(point.decoder.generate(z), point.decoder.generate(z))
