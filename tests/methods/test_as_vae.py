"""AS-VAE on a table of discrete x and z, its gradients by hand, the planar flow's inverse, and 8-bit likelihoods."""

import math

import pytest
import scipy.integrate
import torch
from torch import nn

from methods.as_vae import ASVAE, ASVAEg, ASVAEr
from methods.networks.bodies import MLP
from methods.networks.decoders import GaussianDecoder, LogisticDecoder
from methods.networks.flows import PlanarFlowEncoder, constrained, inverse_planar_layer, planar_layer
from methods.terms import log_normal
from methods.training.game import Batch, gradient
from methods.wgan import MixtureWeights

# counts of (x, z) pairs: q(x, z) and p(x, z) with 32 draws each, so that batches of 32 rows are the expectations
Q = torch.tensor([[4, 1, 3], [2, 6, 0], [1, 1, 6], [5, 2, 1]], dtype=torch.float64)
P = torch.tensor([[3, 2, 3], [1, 4, 1], [2, 2, 4], [6, 2, 2]], dtype=torch.float64)


def rows_of(counts):
    """(x, z) indices, each pair as often as it counts."""
    pairs = [(i, j) for i in range(4) for j in range(3) for _ in range(int(counts[i, j]))]
    return torch.tensor(pairs).T


class TableEncoder(nn.Module):
    """q(z|x) as a table; draws are the rows of q."""

    def __init__(self, q):
        super().__init__()
        self.q, self.z = q, rows_of(q)[1]

    def forward(self, x):
        table, drawn = self.q, self.z

        class Posterior:
            def rsample(self):
                return drawn

            def log_prob(self, z):
                return (table / table.sum(1, keepdim=True)).log()[x, z]

        return Posterior()


class TableDecoder(nn.Module):
    """p(x|z) and p(z) as a table; draws are the rows of p."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def sample_prior(self, n, device="cpu"):
        return rows_of(self.p)[1]

    def generate(self, z):
        return rows_of(self.p)[0]

    def log_likelihood(self, x, z):
        return (self.p / self.p.sum(0)).log()[x, z]


def normal(counts):
    return counts / counts.sum()


def kl(a, b):
    a, b = normal(a), normal(b)
    return torch.where(a > 0, a * (a / b).log(), 0.0).sum()


class TableCritic(nn.Module):
    """The optimal critic log joint(x, z) - log x_marginal(x) z_marginal(z)."""

    def __init__(self, joint, x_marginal, z_marginal):
        super().__init__()
        self.table = normal(joint).log() - normal(x_marginal).log()[:, None] - normal(z_marginal).log()[None]

    def forward(self, x, z):
        return self.table[x, z]


def tabular(p, q):
    method = ASVAE(TableEncoder(q), TableDecoder(p), nn.Identity(), nn.Identity())
    f1 = TableCritic(q, p.sum(1), p.sum(0))  # log q(x, z) - log p(x)p(z)
    f2 = TableCritic(p, q.sum(1), q.sum(0))  # log p(x, z) - log q(x)q(z)
    batch = Batch(rows_of(q)[0])
    return method.reconstruction_term(f1, batch), method.generation_term(f2, batch)


def entropy(counts):
    probabilities = normal(counts)
    return -(probabilities * probabilities.log()).sum()


def test_terms_are_the_entropies_where_p_is_q():
    loss_r, loss_g = tabular(P, P)
    torch.testing.assert_close(loss_r, entropy(P.sum(1)), atol=1e-9, rtol=0)
    torch.testing.assert_close(loss_g, entropy(P.sum(0)), atol=1e-9, rtol=0)


def test_terms_are_joint_bounds_elsewhere():
    loss_r, _ = tabular(P, Q)
    expected_r = -((normal(Q.sum(1)) * normal(P.sum(1)).log()).sum() - kl(Q, P))
    torch.testing.assert_close(loss_r, expected_r, atol=1e-6, rtol=0)
    # the other direction needs p's support inside q's: give the empty pair one draw, of which p has none
    q, p = Q.clone(), P.clone()
    q[1, 2], q[0, 0] = 1, 3
    _, loss_g = tabular(p, q)
    expected_g = -((normal(p.sum(0)) * normal(q.sum(0)).log()).sum() - kl(p, q))
    torch.testing.assert_close(loss_g, expected_g, atol=1e-6, rtol=0)


def test_critics_losses_are_least_at_the_log_ratios():
    """Eqs 5 and 6 with fixed rows: the loss's gradient in the table vanishes at the optimum, in expectation."""
    f1 = TableCritic(P, P.sum(1), P.sum(0))
    joint, product = normal(P), normal(P.sum(1))[:, None] * normal(P.sum(0))[None]
    slope = -joint * torch.sigmoid(-f1.table) + product * torch.sigmoid(f1.table)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)


class Line(nn.Module):
    """z = a x + s e with its Gaussian density (an encoder), or x = a z + s e (a decoder); e is remembered."""

    def __init__(self, a, s, noise):
        super().__init__()
        self.a, self.s, self.noise = nn.Parameter(torch.tensor(a)), s, noise

    def forward(self, x):
        line = self

        class Posterior:
            def rsample(self):
                return line.a * x + line.s * line.noise

            def log_prob(self, z):
                return log_normal(z, line.a * x, torch.full_like(z, line.s**2))

        return Posterior()


class LineDecoder(Line):
    def __init__(self, a, s, noise, z):
        super().__init__(a, s, noise)
        self.z = z

    def sample_prior(self, n, device="cpu"):
        return self.z

    def generate(self, z):
        return self.a * z + self.s * self.noise

    def log_likelihood(self, x, z):
        return log_normal(x, self.a * z, torch.full_like(x, self.s**2))


class Quadratic(nn.Module):
    """f(x, z) = b x z + c z^2."""

    def __init__(self, b, c):
        super().__init__()
        self.b, self.c = nn.Parameter(torch.tensor(b)), nn.Parameter(torch.tensor(c))

    def forward(self, x, z):
        return (self.b * x * z + self.c * z.square()).sum(1)


def test_gradients_are_those_written_by_hand():
    torch.manual_seed(0)
    x, e, z, xi = (torch.randn(6, 1) for _ in range(4))
    encoder, decoder = Line(0.7, 0.5, e), LineDecoder(1.2, 0.8, xi, z)
    f1, f2 = Quadratic(0.3, -0.2), Quadratic(-0.4, 0.1)
    full = ASVAE(encoder, decoder, f1, f2)  # type: ignore[arg-type]
    _, (da, dw) = gradient(full.players()["model"], Batch(x))
    a, w, s, t = 0.7, 1.2, 0.5, 0.8
    z_q, x_p = a * x + s * e, w * z + t * xi
    # L_r = f1(x, z_q) - log N(x; w z_q, t^2)
    r_a = (0.3 * x - 0.4 * z_q) * x - w * (x - w * z_q) * x / t**2
    r_w = -(x - w * z_q) * z_q / t**2
    # L_g = f2(x_p, z) - log N(z; a x_p, s^2)
    g_a = -(z - a * x_p) * x_p / s**2
    g_w = -0.4 * z * z - a * (z - a * x_p) * z / s**2
    torch.testing.assert_close(da, (r_a + g_a).mean())
    torch.testing.assert_close(dw, (r_w + g_w).mean())
    _, (half_a, half_w) = gradient(ASVAEr(encoder, decoder, f1).players()["model"], Batch(x))
    torch.testing.assert_close(half_a, r_a.mean())
    torch.testing.assert_close(half_w, r_w.mean())
    _, (half_a, half_w) = gradient(ASVAEg(encoder, decoder, f2).players()["model"], Batch(x))
    torch.testing.assert_close(half_a, g_a.mean())
    torch.testing.assert_close(half_w, g_w.mean())
    # critic g: joint pairs of the decoder against data with the codes of other data
    _, (db, _) = gradient(full.players()["critic_g"], Batch(x))
    positive, negative = f2(x_p, z), f2(x, z_q.roll(1, 0))
    by_hand = -((1 - positive.sigmoid()) * (x_p * z)[:, 0]).mean()
    by_hand = by_hand + (negative.sigmoid() * (x * z_q.roll(1, 0))[:, 0]).mean()
    torch.testing.assert_close(db, by_hand)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_planar_flow_of_80_layers_goes_back(dtype):
    torch.manual_seed(0)
    encoder = PlanarFlowEncoder(6, MLP((5,), [16]), 80).to(dtype)
    for parameter in encoder.u.parameters():
        parameter.data.mul_(100)  # far from the identity
    q = encoder(torch.randn(32, 5, dtype=dtype))
    z, log_q = q.rsample_with_log_prob()
    torch.testing.assert_close(q.log_prob(z), log_q, atol=1e-3 if dtype == torch.float32 else 1e-9, rtol=1e-4)
    layer = (constrained(torch.randn(32, 6, dtype=dtype) * 2, w := torch.randn(32, 6, dtype=dtype)), w)
    b = torch.randn(32, dtype=dtype)
    out, log_det = planar_layer(z.detach(), *layer, b)
    back, log_det_back = inverse_planar_layer(out, *layer, b)
    assert (back - z).abs().max() < 1e-5
    torch.testing.assert_close(log_det_back, log_det, atol=1e-4, rtol=1e-4)


def test_gradients_of_the_inverse_are_right():
    torch.manual_seed(1)
    z, u, w = (torch.randn(3, 2, dtype=torch.float64, requires_grad=True) for _ in range(3))
    b = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z, u, w, b: inverse_planar_layer(z, constrained(u, w), w, b), (z, u, w, b))


@pytest.mark.parametrize("kind", [GaussianDecoder, LogisticDecoder])
def test_masses_of_the_256_levels_sum_to_the_mass_of_the_unit_interval(kind):
    torch.manual_seed(0)
    decoder = kind((1, 2, 2), 3, MLP((3,), [8])).double()
    nn.init.normal_(decoder.head.weight, 0, 0.5)
    z = torch.randn(5, 3, dtype=torch.float64)
    m, log_s = decoder.parameters_at(z)
    levels = (torch.arange(256, dtype=torch.float64) + 0.5) / 256
    low, high = (0 - m) / log_s.exp(), (1 - m) / log_s.exp()
    cdf = torch.special.ndtr if kind is GaussianDecoder else torch.sigmoid
    by_pixel = torch.stack(
        [decoder.log_interval(*(((e / 256).floor() * 0 + v - m) / log_s.exp() for v in (k / 256, (k + 1) / 256)))
         for k, e in enumerate(levels)]
    )  # fmt: skip
    torch.testing.assert_close(by_pixel.exp().sum(0), cdf(high) - cdf(low), atol=1e-6, rtol=0)
    x = levels[torch.randint(256, (5, 1, 2, 2))]
    level = (x.flatten(1) * 256).floor().long()
    expected = by_pixel.gather(0, level[None]).squeeze(0).sum(1)
    torch.testing.assert_close(decoder.log_mass(x, z), expected)
    dense = decoder.log_likelihood(x, z) - 4 * math.log(256)  # density at the centre times the width
    assert (decoder.log_mass(x, z) - dense).abs().max() < 0.5


@pytest.mark.parametrize("a", [-30.0, -8.0, 0.1, 8.0, 30.0])
def test_masses_far_in_the_tails_are_exact(a):
    decoder = GaussianDecoder((1, 1, 1), 1, MLP((1,), [1])).double()
    found = decoder.log_interval(torch.tensor(a, dtype=torch.float64), torch.tensor(a + 0.5, dtype=torch.float64))
    density = scipy.integrate.quad(lambda t: math.exp(-0.5 * (t * t - a * a)), a, a + 0.5)[0]
    assert abs(float(found) - (math.log(density) - 0.5 * a * a - 0.5 * math.log(2 * math.pi))) < 1e-6


def test_mixture_penalty_is_least_at_equal_weights():
    weights = MixtureWeights(5)
    torch.testing.assert_close(weights.penalty(), torch.tensor(math.log(5)))
    nn.init.normal_(weights.logits)
    assert weights.penalty() > math.log(5)
