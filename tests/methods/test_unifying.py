"""On Unifying Deep Generative Models: lemmas 1 and 2 and the bound of appendix B, on random discrete distributions.

y = 0 generated, y = 1 data, p(y) uniform; only p(x|y=0) = p_g has parameters. A discriminator is q(y=1|x) = D(x), and
q^r(y|x) = q(1-y|x). The posterior is q^r(x|y) = q^r(y|x) p_theta0(x) / Z_y with p_theta0 = (p_g + p_data) / 2.
"""

import math

import pytest
import torch
from torch import Tensor

SYMBOLS = 7
SEEDS = range(20)


def simplex(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64).mul(1.5).softmax(-1)


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum(-1)


def jsd(p: Tensor, q: Tensor) -> Tensor:
    return 0.5 * kl(p, (p + q) / 2) + 0.5 * kl(q, (p + q) / 2)


def reversed_discriminator(d: Tensor) -> Tensor:
    """q^r(y|x) [y, x]: q^r(0|x) = D(x)."""
    return torch.stack([d, 1 - d])


def posterior(d: Tensor, mixture: Tensor) -> Tensor:
    """q^r(x|y) [y, x]."""
    joint = reversed_discriminator(d) * mixture
    return joint / joint.sum(1, keepdim=True)


def problem(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of p_g, p_data, and an arbitrary D."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(SYMBOLS, generator=generator, dtype=torch.float64).requires_grad_()
    p_data = simplex(generator, SYMBOLS)
    return logits, p_data, torch.rand(SYMBOLS, generator=generator, dtype=torch.float64).clamp(0.02, 0.98)


def generator_loss(p: Tensor, d: Tensor) -> Tensor:
    """-E_{p(x|y)p(y)} log q^r(y|x), for p [y, x]: the non-saturating loss of eq. 7."""
    return -0.5 * (p * reversed_discriminator(d).log()).sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_lemma_1_for_any_discriminator(seed):
    logits, p_data, d = problem(seed)
    p = torch.stack([logits.softmax(0), p_data])
    mixture = p.mean(0).detach()
    left = torch.autograd.grad(generator_loss(p, d), logits, retain_graph=True)[0]
    right = torch.autograd.grad(0.5 * kl(p, posterior(d, mixture)).sum() - jsd(p[0], p[1]), logits)[0]
    assert torch.allclose(left, right, atol=1e-8, rtol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_lemma_1_with_the_best_discriminator_is_eq_14(seed):
    logits, p_data, _ = problem(seed)
    p = torch.stack([logits.softmax(0), p_data])
    d = (p_data / (p[0] + p_data)).detach()
    left = torch.autograd.grad(generator_loss(p, d), logits, retain_graph=True)[0]
    right = torch.autograd.grad(0.5 * kl(p[0], p_data) - jsd(p[0], p_data), logits)[0]
    assert torch.allclose(left, right, atol=1e-8, rtol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_posteriors_of_figure_2(seed):
    logits, p_data, _ = problem(seed)
    p_g = logits.detach().softmax(0)
    mixture = (p_g + p_data) / 2
    best = posterior(p_data / (p_g + p_data), mixture)
    assert torch.allclose(best[0], p_data, atol=1e-12)
    assert torch.allclose(best[1], p_g, atol=1e-12)
    ignorant = posterior(torch.full((SYMBOLS,), 0.5, dtype=torch.float64), mixture)
    assert torch.allclose(ignorant, mixture.expand(2, -1), atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_jsd_is_the_divergence_from_the_mixture_at_theta_0(seed):
    logits, p_data, _ = problem(seed)
    p = torch.stack([logits.detach().softmax(0), p_data])
    assert jsd(p[0], p[1]).item() == pytest.approx(0.5 * kl(p, p.mean(0)).sum().item(), abs=1e-10)  # eqs 26, 27
    elsewhere = simplex(torch.Generator().manual_seed(seed + 100), SYMBOLS)
    assert jsd(p[0], p[1]) <= 0.5 * kl(p, elsewhere).sum() + 1e-10  # eq. 32, for any other p_theta0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bound_of_appendix_b_holds_without_the_normaliser(seed):
    """Eq. 24 leaves log Z_y out: with it, KL(p||q^r(x|y)) = KL(p||p_theta0) - E log q^r(y|x) + log Z_y."""
    logits, p_data, d = problem(seed)
    p = torch.stack([logits.detach().softmax(0), p_data])
    mixture = p.mean(0)
    surprise = -(p * reversed_discriminator(d).log()).sum(1)
    log_z = (reversed_discriminator(d) * mixture).sum(1).log()
    exact = kl(p, posterior(d, mixture))
    assert torch.allclose(exact, kl(p, mixture) + surprise + log_z, atol=1e-10)
    assert jsd(p[0], p[1]) <= 0.5 * (exact - log_z).sum() + 1e-10


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("temperature", [1.0, 1.5, 3.0, 5.0])
def test_the_bound_of_appendix_b_holds_as_printed_for_a_discriminator_that_sees_right(seed, temperature):
    logits, p_data, _ = problem(seed)
    p = torch.stack([logits.detach().softmax(0), p_data])
    d = torch.sigmoid((p[1].log() - p[0].log()) / temperature)
    assert jsd(p[0], p[1]) <= 0.5 * kl(p, posterior(d, p.mean(0))).sum() + 1e-10


def test_the_bound_of_appendix_b_fails_as_printed_for_one_that_sees_wrong():
    p = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64)
    wrong = p[0] / p.sum(0)  # says "real" of what is generated: the posterior of y = 0 is p_g itself
    found = 0.5 * kl(p, posterior(wrong, p.mean(0))).sum()
    assert found.item() == pytest.approx(0, abs=1e-12)
    assert jsd(p[0], p[1]) > 0.3


def vae_tables(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """p_data(x), p(z), p(x|z) [z, x], q(z|x) [x, z], the last two with gradients."""
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(4, SYMBOLS, generator=generator, dtype=torch.float64).requires_grad_()
    eta = torch.randn(SYMBOLS, 4, generator=generator, dtype=torch.float64).requires_grad_()
    return simplex(generator, SYMBOLS), simplex(generator, 4), theta, eta


@pytest.mark.parametrize("seed", SEEDS)
def test_lemma_2_the_vae_objective_as_eq_19(seed):
    p_data, p_z, theta, eta = vae_tables(seed)
    decoder, encoder = theta.softmax(1), eta.softmax(1)
    elbo = (p_data * ((encoder * decoder.T.log()).sum(1) - kl(encoder, p_z))).sum()  # eq. 17
    # eq. 19 with the perfect discriminator: of real x (half of p_theta0), q^r says y = 0; of generated ones y = 1,
    # where q(z|x,y=1), p(x|z,y=1) = p_data and p(z|y=1) have no parameters
    constant = simplex(torch.Generator().manual_seed(seed + 1), 4)
    p_g = (p_z @ decoder).detach()
    real = (encoder * (decoder.T.log() + p_z.log() + math.log(0.5) - encoder.log())).sum(1)
    fake = (constant * (p_data[:, None].log() + p_z.log() + math.log(0.5) - constant.log())).sum(1)
    eq_19 = 0.5 * (p_data * real).sum() + 0.5 * (p_g * fake).sum()
    found = torch.autograd.grad(eq_19, [theta, eta], retain_graph=True)
    expected = torch.autograd.grad(0.5 * elbo, [theta, eta], retain_graph=True)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-8, rtol=0)
    # its second line: minus the KL to p_theta(z, y|x), whose normaliser is p_theta(x)
    joint = decoder.T * p_z * 0.5
    evidence = (joint + (p_data[:, None] * p_z * 0.5)).sum(1)
    divergence = (encoder * (encoder.log() - (joint / evidence[:, None]).log())).sum(1)
    assert torch.allclose(real, evidence.log() - divergence, atol=1e-10)
