"""PyTorch's defaults, to compare with: the memory layout and the transposed convolutions that a user gets."""

import torch
from torch import nn

from methods import networks


def use_defaults() -> None:
    """Undo, in this process, what `methods.networks` does for speed; results differ by rounding only."""
    networks.LAYOUT = torch.contiguous_format
    networks.UpConv.forward = nn.ConvTranspose2d.forward  # type: ignore[method-assign]
