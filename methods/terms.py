"""Terms that several objectives share. Densities are summed over dimensions: [batch, ...] -> [batch]."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, Normal

Rows = Float[Tensor, "*batch"]
LOG_2PI = math.log(2 * math.pi)


class _Softplus(torch.autograd.Function):
    """PyTorch's own calls log1p, which on a CPU is ten times as slow as log; the difference is 6e-8 at most."""

    @staticmethod
    def forward(ctx, t: Tensor) -> Tensor:
        ctx.save_for_backward(t)
        t = t.float() if t.dtype == torch.bfloat16 else t
        return t.abs().neg_().exp_().add_(1).log_().add_(t.clamp_min(0))

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[override]
        (t,) = ctx.saved_tensors
        return (grad * t.sigmoid()).to(t.dtype)


def softplus(t: Tensor) -> Tensor:
    """log(1 + e^t), stable for any t; float32 from bf16."""
    return _Softplus.apply(t)  # type: ignore[no-any-return]


def says_one(logit: Tensor) -> Tensor:
    """Mean of -log sigmoid(t): cross-entropy of calling these 1 (label 1 = encoder sample or real data)."""
    return softplus(-logit).mean()


def says_zero(logit: Tensor) -> Tensor:
    """Mean of -log(1 - sigmoid(t)): cross-entropy of calling these 0."""
    return softplus(logit).mean()


def log_standard_normal(z: Float[Tensor, "*batch latent"]) -> Rows:
    """log N(z; 0, I) in nats."""
    return -0.5 * (z.square() + LOG_2PI).sum(-1)


def log_normal(z: Tensor, mean: Tensor, variance: Tensor) -> Rows:
    """log N(z; mean, diag variance) in nats."""
    return -0.5 * ((z - mean).square() / variance + variance.log() + LOG_2PI).sum(-1)


def gaussian_kl(mean: Tensor, sd: Tensor) -> Rows:
    """KL(N(mean, diag sd^2) || N(0, I)) in nats (Kingma & Welling 2014, appendix B)."""
    return (0.5 * (mean.square() + sd.square() - 1) - sd.log()).sum(-1)


def diagonal_gaussian(mean: Tensor, log_sd: Tensor, min_sd: float = 0.0) -> Independent:
    """N(mean, diag (min_sd + exp(log_sd))^2) over the last axis."""
    return Independent(Normal(mean, min_sd + log_sd.exp(), validate_args=False), 1, validate_args=False)


def sample_with_log_prob(q: Any) -> tuple[Tensor, Tensor]:
    """A reparametrised draw z [batch, latent] and log q(z|x) [batch].

    Flows know the density of their own draws only: they offer `rsample_with_log_prob` instead of `log_prob`.
    """
    if hasattr(q, "rsample_with_log_prob"):
        return q.rsample_with_log_prob()
    z = q.rsample()
    return z, q.log_prob(z)


def annealed(step: int, steps: int) -> float:
    """KL weight beta: rises linearly from 0 to 1 over `steps` rounds; 1 from the start if `steps` is 0."""
    return 1.0 if steps == 0 else min(1.0, step / steps)


def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """log of the mean of exp(values) along `dim`, stably."""
    return torch.logsumexp(values, dim) - math.log(values.shape[dim])
