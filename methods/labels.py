"""Labels as inputs of networks, and batches of which only a part is labelled."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from methods.game import Batch

HIDDEN = -1  # the label of an example whose class is not given


def with_label(h: Tensor, y: Tensor | None, classes: int) -> Tensor:
    """Codes h [batch, d] with the one-hot y [batch] behind them, images h [batch, c, height, width] with a constant
    plane for each class; h itself for `classes` = 0. ValueError without labels.
    """
    if classes == 0:
        return h
    if y is None or bool((y == HIDDEN).any()):
        raise ValueError("a conditional method needs a label for every example; choose a labelled dataset")
    hot = one_hot(y, classes).to(h.dtype)
    return torch.cat([h, hot if h.dim() == 2 else hot[:, :, None, None].expand(-1, -1, *h.shape[2:])], 1)


def random_labels(n: int, classes: int, device: torch.device | str) -> Tensor | None:
    """y ~ uniform [n]; None where there are no classes."""
    return torch.randint(classes, (n,), device=device) if classes else None


def split_labelled(batch: Batch) -> tuple[Tensor, Tensor]:
    """Indices of the labelled and of the other examples of a batch."""
    if batch.y is None:
        raise ValueError("a semi-supervised method needs a dataset with labels")
    labelled = batch.y != HIDDEN
    return labelled.nonzero().squeeze(1), (~labelled).nonzero().squeeze(1)
