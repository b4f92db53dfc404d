"""Posteriors whose draws carry their own density: planar flow and inverse autoregressive flow."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import elu

from methods.networks.bodies import Body, linear
from methods.terms import diagonal_gaussian, log_standard_normal, softplus


class FlowPosterior:
    """q(z|x) as a base draw pushed through a flow; knows the density of its own draws only."""

    def __init__(self, transform):
        self._transform = transform

    def rsample_with_log_prob(self) -> tuple[Tensor, Tensor]:
        """z [batch, latent] and log q(z|x) [batch], nats."""
        return self._transform()

    def rsample(self) -> Tensor:
        """z [batch, latent]."""
        return self._transform()[0]


def constrained(u: Float[Tensor, "*batch latent"], w: Tensor) -> Tensor:
    """u^ = u + (softplus(w.u) - 1 - w.u) w / |w|^2, so that w.u^ > -1 and the layer is invertible (appendix A.1)."""
    wu = (w * u).sum(-1, keepdim=True)
    return u + (softplus(wu) - 1 - wu) * w / w.square().sum(-1, keepdim=True).clamp_min(1e-12)


def planar_log_det(h: Tensor, c: Tensor) -> Tensor:
    """log |1 + (1 - h^2) w.u^| for h = tanh(w.z + b) and c = w.u^."""
    return torch.log1p((1 - h.square()) * c).clamp_min(-50)


def planar_layer(
    z: Float[Tensor, "batch latent"], u_hat: Tensor, w: Tensor, b: Float[Tensor, "*batch"]
) -> tuple[Tensor, Tensor]:
    """One planar layer z + u^ tanh(w.z + b) and log |det| (Rezende & Mohamed 2015, eqs 10-12)."""
    h = torch.tanh((w * z).sum(-1) + b)
    return z + u_hat * h.unsqueeze(-1), planar_log_det(h, (w * u_hat).sum(-1))


def inverse_planar_layer(
    z: Float[Tensor, "batch latent"], u_hat: Tensor, w: Tensor, b: Float[Tensor, "*batch"]
) -> tuple[Tensor, Tensor]:
    """The layer's input and its log |det| there: a = w.z_in + b is the root of a + c tanh(a) = w.z + b, c = w.u^.

    The left side rises, since c > -1: bisection between the bounds |a - (w.z + b)| <= |c|. The last step is
    Newton's, with gradients in c and in w.z + b: those of the implicit function theorem.
    """
    c, target = (w * u_hat).sum(-1), (w * z).sum(-1) + b
    with torch.no_grad():
        low, high = target - c.abs(), target + c.abs()
        for _ in range(30):
            a = 0.5 * (low + high)
            below = a + c * a.tanh() < target
            low, high = torch.where(below, a, low), torch.where(below, high, a)
        a = 0.5 * (low + high)
    h = torch.tanh(a)
    a = a - (a + c * h - target) / (1 + c * (1 - h.square())).clamp_min(1e-4)
    h = torch.tanh(a)
    return z - u_hat * h.unsqueeze(-1), planar_log_det(h, c)


class PlanarFlowPosterior(FlowPosterior):
    """Base Gaussian and planar layers with parameters u_hat, w [batch, length, latent] and b [batch, length]."""

    def __init__(self, base, u_hat: Tensor, w: Tensor, b: Tensor):
        super().__init__(self._draw)
        self._base, self._layers = base, list(zip(u_hat.unbind(1), w.unbind(1), b.unbind(1), strict=True))

    def _draw(self) -> tuple[Tensor, Tensor]:
        z = self._base.rsample()
        log_q = self._base.log_prob(z)
        for layer in self._layers:
            z, log_det = planar_layer(z, *layer)
            log_q = log_q - log_det
        return z, log_q

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) [batch] at any z [batch, latent], through the flow's inverse."""
        total = torch.zeros_like(z[:, 0])
        for layer in reversed(self._layers):
            z, log_det = inverse_planar_layer(z, *layer)
            total = total + log_det
        return self._base.log_prob(z) - total


class PlanarFlowEncoder(nn.Module):
    """Gaussian base and `length` planar layers whose parameters are functions of x (amortised)."""

    provides = ("log_prob", "foreign_log_prob")

    def __init__(self, latent_dim: int, body: Body, length: int, min_sd: float = 0.0):
        super().__init__()
        self.body, self.latent_dim, self.length, self.min_sd = body, latent_dim, length, min_sd
        n = body.out_features
        self.mean, self.log_sd = linear(n, latent_dim), linear(n, latent_dim)
        self.w, self.b = linear(n, length * latent_dim), linear(n, length)
        self.u = linear(n, length * latent_dim, 0.01)  # long flows must start near the identity

    def forward(self, x: Tensor) -> PlanarFlowPosterior:
        h = self.body(x)
        shape = (x.shape[0], self.length, self.latent_dim)
        u, w = self.u(h).reshape(shape), self.w(h).reshape(shape)
        base = diagonal_gaussian(self.mean(h), self.log_sd(h), self.min_sd)
        return PlanarFlowPosterior(base, constrained(u, w), w, self.b(h))


class MaskedNet(nn.Module):
    """One-hidden-layer MADE with context: two outputs, each of whose i-th entry depends on z_{<i} only."""

    mask_in: Tensor
    mask_out: Tensor
    mask_direct: Tensor

    def __init__(self, latent_dim: int, hidden: int, context: int):
        super().__init__()
        degrees = torch.randint(1, max(latent_dim, 2), (hidden,))
        order = torch.arange(1, latent_dim + 1)
        self.inner, self.context = linear(latent_dim, hidden), linear(context, hidden)
        self.outer, self.direct = linear(hidden, 2 * latent_dim), linear(latent_dim, 2 * latent_dim)
        self.register_buffer("mask_in", (degrees[:, None] >= order).float())
        self.register_buffer("mask_out", (order[:, None] > degrees).float().repeat(2, 1))
        self.register_buffer("mask_direct", (order[:, None] > order).float().repeat(2, 1))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        masked = nn.functional.linear
        h = elu(masked(z, self.inner.weight * self.mask_in, self.inner.bias) + self.context(context))
        out = masked(h, self.outer.weight * self.mask_out, self.outer.bias)
        out = out + masked(z, self.direct.weight * self.mask_direct)
        m, s = out.chunk(2, 1)
        return 0.1 * m, 1 + 0.01 * s  # the gate starts at sigmoid(1) = 0.731


class IAFEncoder(nn.Module):
    """Inverse autoregressive flow (Kingma et al. 2016, eqs 8-10): gated steps, dimensions reversed in between."""

    provides = ("log_prob",)

    def __init__(self, latent_dim: int, body: Body, layers: int = 8, hidden: int = 128, context: int = 32):
        super().__init__()
        self.body = body
        n = body.out_features
        self.mean, self.log_sd = linear(n, latent_dim), linear(n, latent_dim)
        self.context = linear(n, context)
        self.steps = nn.ModuleList(MaskedNet(latent_dim, hidden, context) for _ in range(layers))

    def forward(self, x: Tensor) -> FlowPosterior:
        h = self.body(x)
        mean, log_sd, context = self.mean(h), self.log_sd(h), self.context(h)

        def transform() -> tuple[Tensor, Tensor]:
            e = torch.randn_like(mean)
            z, log_q = mean + log_sd.exp() * e, log_standard_normal(e) - log_sd.sum(1)
            for step in self.steps:
                m, s = step(z, context)
                gate = torch.sigmoid(s)
                z, log_q = gate * z + (1 - gate) * m, log_q + softplus(-s).sum(1)
                z = z.flip(1)
            return z, log_q

        return FlowPosterior(transform)
