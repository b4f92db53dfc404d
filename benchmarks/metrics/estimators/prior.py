"""p(z), from its one source: `log_prior` and `sample_prior` of the method's decoder; N(0, I) where it has none."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from methods.networks.decoders import has_standard_prior
from methods.terms import log_standard_normal


@dataclass(frozen=True)
class Prior:
    """p(z) of a decoder; of N(0, I) the closed forms may be used."""

    decoder: Any

    @classmethod
    def of(cls, method: Any) -> "Prior":
        """The prior of a method's decoder."""
        return cls(getattr(method, "decoder", None))

    @property
    def standard(self) -> bool:
        """Whether it is N(0, I)."""
        return has_standard_prior(self.decoder)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) [n], nats, in the type of z [n, latent]; the decoder computes in that of its weights."""
        if self.standard:
            return log_standard_normal(z)
        return self.decoder.log_prior(z.to(torch.get_default_dtype())).to(z.dtype)

    def draw(self, n: int, latent: int, device: torch.device) -> Tensor:
        """n draws [n, latent] in float64; of N(0, I) on the CPU, whatever the device."""
        if self.standard:
            return torch.randn(n, latent, dtype=torch.float64)
        return self.decoder.sample_prior(n, device).double()
