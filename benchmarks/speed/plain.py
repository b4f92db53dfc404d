"""PyTorch's defaults, to compare with: the memory layout and the transposed convolutions that a user gets."""

import torch
from torch import nn

from methods.networks import bodies


def use_defaults() -> None:
    """Undo, in this process, what `methods.networks.bodies` does for speed; results differ by rounding only."""
    bodies.LAYOUT = torch.contiguous_format
    bodies.UpConv.forward = nn.ConvTranspose2d.forward  # type: ignore[method-assign]
