"""VAEs with a mixture of posteriors as prior (Tomczak & Welling 2018): right ones, and some that contradict themselves.

A run of `suite` is named by its method and, of a `Vamp` decoder, by that.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.config import user_runs
from benchmarks.config.models import Run, of_papers
from benchmarks.plan.suite import Suite
from methods.networks.decoders import BernoulliDecoder
from methods.terms import log_mean_exp, log_standard_normal, sample_with_log_prob
from methods.vae import VAE


class Vamp(BernoulliDecoder):
    """p(z) is the mean of q(z|u) over pseudo-inputs u, which the method sets (Tomczak & Welling 2018)."""

    mixture: Callable[[], Any]

    def log_prior(self, z):
        return log_mean_exp(self.mixture().log_prob(z[:, None]), 1)

    def sample_prior(self, n, device="cpu"):
        q = self.mixture()
        k = torch.randint(len(q.mean), (n,), device=device)
        return q.mean[k] + q.stddev[k] * torch.randn_like(q.mean[k])


class Undrawn(Vamp):
    """Draws from N(0, I) all the same."""

    sample_prior = BernoulliDecoder.sample_prior


class Unnormalised(Vamp):
    """The sum instead of the mean."""

    def log_prior(self, z):
        return super().log_prior(z) + math.log(len(self.mixture().mean))


class VampVAE(VAE):
    """Right with a decoder that is a `Vamp`."""

    def __init__(self, encoder, decoder, components: int = 20):
        super().__init__(encoder, decoder)
        self.u = torch.nn.Parameter(torch.randn(components, *decoder.x_shape))
        decoder.mixture = lambda: encoder(self.u.sigmoid())


class Own(VampVAE):
    """Says nothing of its prior to the decoder."""

    def log_prior(self, z):
        return log_mean_exp(self.decoder.mixture().log_prob(z[:, None]), 1)

    def weight_terms(self, batch):
        z, log_q = sample_with_log_prob(self.encoder(batch.x))
        return self.decoder.log_likelihood(batch.x, z), log_q - self.log_prior(z)

    def per_example_loss(self, batch):
        return -self.log_weight(batch)


class Unlike(VampVAE):
    """Another prior in its weights than in its decoder."""

    def log_weight(self, batch):
        z, log_q = sample_with_log_prob(self.encoder(batch.x))
        return self.decoder.log_likelihood(batch.x, z) + log_standard_normal(z) - log_q


class Sampled(VampVAE):
    """Images of N(0, I)."""

    def sample(self, n, device="cpu"):
        return self.decoder.mean(torch.randn(n, self.decoder.latent_dim, device=device)).clamp(0, 1)


class Learnt(VAE):
    """Its prior N(m, I) starts as N(0, I), and only its weights know it."""

    def __init__(self, encoder, decoder):
        super().__init__(encoder, decoder)
        self.m = torch.nn.Parameter(torch.zeros(decoder.latent_dim))

    def weight_terms(self, batch):
        z, log_q = sample_with_log_prob(self.encoder(batch.x))
        return self.decoder.log_likelihood(batch.x, z), log_q - log_standard_normal(z - self.m)


class Two(VampVAE):
    """The mean of two weights each, as of the importance bound: no single z is to be seen."""

    extra = 0.0

    def log_weight(self, batch):
        return log_mean_exp(torch.stack([super(Two, self).log_weight(batch) for _ in range(2)]), 0) + self.extra


class TwoMore(Two):
    """5 nats too many."""

    extra = 5.0


PAIRS = (
    *(("VampVAE", name) for name in ("Vamp", "Undrawn", "Unnormalised")),
    *((name, "Vamp") for name in ("Unlike", "Sampled", "Two", "TwoMore")),
    *((name, "") for name in ("Own", "Learnt")),
)


def suite(folder: Path) -> Suite:
    """The smoke profile with a run of each pair of method and decoder; writes their YAML into the folder."""
    lines = []
    for method, decoder in PAIRS:
        kind = f"{__file__}:{decoder}" if decoder else "BernoulliDecoder"
        lines += [
            f"{method}{decoder}:",
            "  like: vae-mnist-8",
            f"  method: {__file__}:{method}",
            f"  components: {{decoder: {{class: '{kind}', body: {{class: MLP, hidden: [64], activation: elu}}}}}}",
        ]
    (folder / "mine.yml").write_text("\n".join(lines) + "\n")
    found = Suite("smoke")
    found.runs |= user_runs.load(folder / "mine.yml", of_papers("runs", Run))
    return found
