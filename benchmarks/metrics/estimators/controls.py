"""Values at chance level, which a metric reports beside its own: what a method reaches that has learnt nothing.

Random numbers come from generators of their own: with and without controls a metric's draws are the same.
"""

import math

import torch
from torch import Tensor

from benchmarks.metrics.trained import Trained

SEED = 0  # of the order of pixels
LEAST = 1e-3  # probability of a black or a white pixel: one of the training images may be the first with it
LEVELS = 256


def shuffled(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Images [n, ...] with the pixels of each in a random order of its own; the colours of a pixel stay together."""
    generator = generator or torch.Generator().manual_seed(SEED)
    colours = x.shape[1] if x.dim() == 4 else 1
    pixels = x.reshape(len(x), colours, -1)
    order = torch.rand(len(x), pixels.shape[2], generator=generator).argsort(1).to(x.device)
    return pixels.gather(2, order[:, None].expand_as(pixels)).reshape(x.shape)


def chance(y: Tensor, whole: float = 100.0) -> dict[str, float]:
    """What a constant answer gets right of labels y [n]: the share of the most frequent, of a `whole`."""
    return {"chance": whole * float(y.unique(return_counts=True)[1].max()) / len(y)}


def independent_pixels(trained: Trained, x: Tensor) -> Tensor | None:
    """log p(x) [n], nats, of images whose pixels are independent with the frequencies of the training images.

    None where the likelihood is not of bits or of grey levels as their probabilities: of 8-bit levels, and of a decoder
    that gives a density.
    """
    decoder = getattr(trained.method, "decoder", None)
    if decoder is not None and not hasattr(decoder, "logits"):
        return None
    if trained.training.pixels_as == "levels" or (trained.training.pixels_as == "grey" and decoder is None):
        return None
    p, x = trained.mean_image.clamp(LEAST, 1 - LEAST), x.double()
    return (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


def of_likelihood(trained: Trained, x: Tensor, scale: float = 1.0) -> dict[str, float]:
    """Mean of `independent_pixels` over test images x, times `scale`."""
    found = independent_pixels(trained, x)
    return {} if found is None else {"independent pixels": scale * float(found.mean())}


def of_mass(trained: Trained, x: Tensor, scale: float) -> dict[str, float]:
    """The same where 8-bit levels have masses: of levels that are all as likely."""
    if trained.training.pixels_as == "levels":
        return {"uniform levels": -scale * x[0].numel() * math.log(LEVELS)}
    return of_likelihood(trained, x, scale)
