"""Labels as inputs of networks, and batches of which only a part is labelled."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from methods.training.game import Batch

HIDDEN = -1  # the label of an example whose class is not given
NEEDED = "a conditional method needs a label for every example; choose a labelled dataset"


def need_labels(y: Tensor | None) -> None:
    """ValueError unless every label of y [batch] is given. It waits for the device: once, before training."""
    if y is None or bool((y == HIDDEN).any()):
        raise ValueError(NEEDED)


def with_label(h: Tensor, y: Tensor | None, classes: int) -> Tensor:
    """Codes h [batch, d] with the one-hot y [batch] behind them, images h [batch, c, height, width] with a constant
    plane for each class; h itself for `classes` = 0.

    ValueError without labels and, on a CPU, if one is hidden. A GPU would have to be waited for in every forward pass
    to say so: there `need_labels` looks before training.
    """
    if classes == 0:
        return h
    if y is None:
        raise ValueError(NEEDED)
    try:
        hot = one_hot(y, classes).to(h.dtype)
    except RuntimeError:  # a class that there is not
        need_labels(y)
        raise
    return torch.cat([h, hot if h.dim() == 2 else hot[:, :, None, None].expand(-1, -1, *h.shape[2:])], 1)


def random_labels(n: int, classes: int, device: torch.device | str) -> Tensor | None:
    """y ~ uniform [n]; None where there are no classes."""
    return torch.randint(classes, (n,), device=device) if classes else None


def split(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Indices [k] where the mask [n] is true and [n - k] where it is not, both in order; waits once for the device."""
    order, k = torch.argsort((~mask).byte(), stable=True), int(mask.sum())
    return order[:k], order[k:]


def split_labelled(batch: Batch) -> tuple[Tensor, Tensor]:
    """Indices of the labelled and of the other examples of a batch; ValueError without labels."""
    if batch.y is None:
        raise ValueError("a semi-supervised method needs a dataset with labels")
    return split(batch.y != HIDDEN)
