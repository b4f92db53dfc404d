"""What an adversary of AVB says of densities: log q(z|x) - log r(z|x) and log q(z|x) - log p(z)."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.errors import NotRunError
from methods.avb import AVB


def log_ratios(method: Any, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """log q - log r and log q - log p(z) [draws, n] by the adversary, at codes z [draws, n, latent] of images x, nats.

    T says the first (eqs 3.4, 4.2); log r(z|x) - log p(z) is known, and 0 where the contrast r is the prior. The best T
    of another divergence is off by a constant (1 of eq. 6.10), which its own estimate of the KL takes off.
    """
    if not isinstance(method, AVB):
        raise NotRunError("of an adversary that is not AVB's it is not known which densities it compares")
    r = method.contrast(method.encoder(x))
    wide = x.repeat(len(z), *(1 for _ in x.shape[1:]))
    t = method.adversary(wide, r.normalise(z).flatten(0, 1))
    t_r = method.adversary(wide, torch.randn_like(z).flatten(0, 1))
    constant = (t - method.divergence.kl(t, t_r)).reshape(len(z), -1).mean(0)
    to_contrast = t.reshape(len(z), -1) - constant
    log_prior = method.decoder.log_prior(z.flatten(0, 1)).reshape(len(z), -1)
    return to_contrast, to_contrast + r.log_prob(z) - log_prior


def draws_of(method: Any, x: Tensor, draws: int) -> Tensor:
    """z ~ q(z|x) [draws, n, latent]."""
    return method.encode(x.repeat(draws, *(1 for _ in x.shape[1:]))).reshape(draws, len(x), -1)
