"""Whether a method's weights, decoder, prior and samples speak of one p(x, z): functions give what is wrong, or "".

No right method is called wrong by chance. Where z can be seen, numbers are compared; elsewhere a bet decides: positive
weights whose expectation is at most 1 win a factor 1/a with probability a at most, however they are distributed
(Markov), and a stake on many independent ones grows quickly where their expectation is higher (Shafer 2021).
"""

import math
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from benchmarks.metrics.estimators.annealing import Start, annealed_importance_sampling
from benchmarks.metrics.estimators.likelihoods import likelihood_for
from benchmarks.metrics.trained import batch_of
from methods.terms import log_mean_exp, sample_with_log_prob

CHANCE = 1e-6  # of a bet that is won although nothing is wrong
STAKES = (1.0, 0.5, 0.1, 0.01, 0.001)  # shares of what one has
DRAWS = 4096  # of the prior, to fit a Gaussian to and again to test it
IMAGES, WEIGHTS = 16, 16  # simulated images, and weights of each
TEMPERATURES, LEAPFROGS = 100, 5
ROUNDING = 1e-5  # of the terms of a log weight
SAMPLES, FAR = 2048, 8.0  # images, and standard errors of a mean pixel
SHAKE = 0.2  # of a tensor's spread


def won(log_weights: Tensor) -> float:
    """log of what a bet on E exp(log_weights) > 1 makes of CHANCE, with independent log weights [n]: won above 0."""
    lots = [torch.logaddexp(torch.tensor(1 - s).log(), math.log(s) + log_weights).sum() for s in STAKES]
    return float(log_mean_exp(torch.stack(lots), 0)) + math.log(CHANCE)


def shaken(method: Any) -> Any:
    """The method with all parameters a little off: a learnt prior may start as N(0, I), and everything agrees then."""
    with torch.no_grad():
        for parameter in (p for p in method.parameters() if p.requires_grad):
            spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
            size = spread or float(parameter.abs().mean()) or 1.0  # of constants, so that a scale stays positive
            parameter.add_(SHAKE * size * torch.randn_like(parameter))
    return method


def gaussians(z: Tensor) -> list[Any]:
    """Gaussians with the moments of draws z [n, latent]: of independent dimensions, and of correlated ones."""
    found: list[Any] = [Independent(Normal(z.mean(0), z.std(0)), 1)]
    factor, failed = torch.linalg.cholesky_ex(torch.cov(z.T).reshape(z.shape[1], -1))
    return found if failed else [*found, MultivariateNormal(z.mean(0), scale_tril=factor)]


def prior_fault(decoder: Any, n: int = DRAWS) -> str:
    """Of `sample_prior` against `log_prior`.

    For any density h, h/p has the expectation 1 at draws of p, and p/h at draws of h: two bets, with a Gaussian h that
    was fitted to other draws. The first is won where the draws are not of p, the second where p has too much mass.
    """
    with torch.no_grad():
        z = decoder.sample_prior(2 * n, torch.device("cpu"))
        log_p = decoder.log_prior(z).double()
        if log_p.shape != (2 * n,):
            return f"log_prior gives shape {tuple(log_p.shape)} for z of shape {tuple(z.shape)}; expected ({2 * n},)"
        z = z.double()
        if log_p.isnan().any() or not z.isfinite().all():
            return "draws of sample_prior, or log_prior at them, are not numbers"
        if len(z.unique(dim=0)) < 0.9 * len(z) or (z.std(0) == 0).any():
            return "draws of sample_prior are equal to each other, which those of a density are not"
        some, others = z.split(n)
        fitted = gaussians(some)

        def log_h(z: Tensor) -> Tensor:
            return log_mean_exp(torch.stack([h.log_prob(z) for h in fitted]), 0)

        at_draws = log_h(others) - log_p[n:]
        if won(at_draws) > 0:
            return (
                f"sample_prior does not draw from exp(log_prior): log_prior gives its draws "
                f"{float(log_p[n:].mean()):.4g} nats on average, a Gaussian with the draws' moments "
                f"{float(log_h(others).mean()):.4g}"
            )
        y = torch.cat([h.sample((n // len(fitted),)) for h in fitted])  # as many of each: independent, if not alike
        mass = (decoder.log_prior(y.to(z)).double() - log_h(y)).nan_to_num(-math.inf, math.inf, -math.inf)
        if won(mass) > 0:
            total = float(log_mean_exp(mass, 0).exp())
            return f"exp(log_prior) does not integrate to 1 but to about {total:.3g}: log_prior must be normalised"
    return ""


def sample_fault(method: Any, n: int = SAMPLES) -> str:
    """Of `sample` against the decoder's means at draws of `sample_prior`: mean pixels over n images."""
    decoder = method.decoder
    if not hasattr(decoder, "mean"):
        return ""

    def means(n: int) -> Tensor:
        return decoder.mean(decoder.sample_prior(n, torch.device("cpu"))).clamp(0, 1)

    def pair(n: int, seeds: tuple[int, int]) -> list[Tensor]:
        found = []
        for draw, seed in zip((method.sample, means), seeds, strict=True):
            torch.manual_seed(seed)
            found.append(draw(n).flatten(1).double())
        return found

    with torch.no_grad():
        one, other = pair(4, (0, 0))
        if torch.allclose(one, other):
            return ""
        one, other = pair(n, (1, 2))
    error = ((one.var(0) + other.var(0)) / n).sqrt().clamp_min(1e-6)
    away = (one.mean(0) - other.mean(0)).abs()
    worst = int((away / error).argmax())
    if away[worst] <= FAR * error[worst]:
        return ""
    return (
        f"sample gives other images than the decoder's means at draws of sample_prior: a mean pixel is "
        f"{away[worst]:.3g} off, {away[worst] / error[worst]:.0f} standard errors"
    )


def seen(method: Any, x: Tensor, seed: int) -> tuple[Tensor, list[Tensor]]:
    """The log weights of x with the noise of a seed, and every z at which they asked the decoder."""
    decoder, asked = method.decoder, []
    log_likelihood = decoder.log_likelihood

    def record(x: Tensor, z: Tensor) -> Tensor:
        asked.append(z)
        return log_likelihood(x, z)

    hook = decoder.register_forward_pre_hook(lambda module, inputs: asked.append(inputs[0]))
    try:
        with patch.object(decoder, "log_likelihood", record):
            torch.manual_seed(seed)
            return method.log_weight(batch_of(x)), asked
    finally:
        hook.remove()


def weight_fault(method: Any, x: Tensor, seed: int = 0) -> str:
    """Of `log_weight` against log p(x|z) + log p(z) - log q(z|x) of the decoder and of q, at the same z [n, latent].

    Where it does not take the z that q gives with the same noise (other proposals, many draws), by a bet: see `excess`.
    """
    decoder = method.decoder
    with torch.no_grad():
        found, asked = seen(method, x, seed)
        torch.manual_seed(seed)
        q = method.posterior(x) if hasattr(method, "encoder") else None
        if not hasattr(q, "log_prob") and not hasattr(q, "rsample_with_log_prob"):
            return excess(method)
        z, log_q = sample_with_log_prob(q)
        if not asked or any(other.shape != z.shape or not torch.allclose(other, z) for other in asked):
            return excess(method)
        terms = torch.stack([decoder.log_likelihood(x, z), decoder.log_prior(z), -log_q])
    away = (found - terms.sum(0)).abs()
    if not bool((away > ROUNDING * (1 + terms.abs().sum(0))).any()):  # also of weights that are not numbers
        return ""
    return (
        f"log_weight differs from log p(x|z) + log p(z) - log q(z|x) of the same z by up to {away.max():.3g} nats, "
        f"p(z) being the decoder's log_prior"
    )


def excess(method: Any, n: int = IMAGES) -> str:
    """Of `log_weight` of images x drawn from the decoder, whose z ~ p(z|x) are known.

    E exp(log_weight) is p(x), and annealing backward from z has the expectation 1/p(x): a bet is on their product.
    """
    decoder = method.decoder
    with torch.no_grad():
        z = decoder.sample_prior(n, torch.device("cpu"))
        x = decoder.draw(z) if hasattr(decoder, "draw") else decoder(z).sample()
        above = log_mean_exp(torch.stack([method.log_weight(batch_of(x)) for _ in range(WEIGHTS)]), 0)
        draws = decoder.sample_prior(DRAWS, torch.device("cpu"))
        start = Start(draws.mean(0).expand_as(z), draws.std(0).expand_as(z))
    settings = (likelihood_for(decoder, x), 1, TEMPERATURES, LEAPFROGS, "linear")
    below, _ = annealed_importance_sampling(start, *settings, posterior_draws=z)
    weights = above.double() + below.squeeze(1)
    if not won(weights) > 0:
        return ""
    return (
        f"log_weight gives images drawn from the decoder {float(weights.mean()):.3g} nats more than their log p(x) "
        f"by the decoder and its log_prior"
    )
