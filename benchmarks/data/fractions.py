"""A part of the training images, the same of every class (Unifying, tables 2 and 3: 1 %, 10 % and 100 %)."""

import torch
from torch import Tensor

from benchmarks.errors import SuiteError
from methods.labels import HIDDEN
from methods.training.minibatches import Images


def class_balanced(labels: Tensor, fraction: float, seed: int) -> Tensor:
    """Indices of round(fraction * n / classes) images of each class, one at least; sorted.

    SuiteError if a class of which images are wanted has fewer.
    """
    classes = labels.unique()
    each = max(1, round(fraction * len(labels) / len(classes)))
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for c in classes:
        members = (labels.cpu() == c.item()).nonzero().squeeze(1)
        if len(members) < each:
            raise SuiteError(
                f"fraction: {fraction} wants {each} images of class {int(c)}, which has {len(members)}; take less"
            )
        chosen.append(members[torch.randperm(len(members), generator=generator)[:each]])
    return torch.cat(chosen).sort().values


def part_of(images: Images, fraction: float, rest: str, seed: int) -> Images:
    """The part alone (`unused`), or all images with the labels of the others hidden (`unlabelled`)."""
    if images.labels is None:
        raise SuiteError("fraction: the dataset has no labels to take the same share of every class; choose another")
    if fraction >= 1:
        return images
    index = class_balanced(images.labels, fraction, seed).to(images.labels.device)
    if rest == "unused":
        return Images(images.pixels[index.to(images.pixels.device)], images.labels[index], images.pixels_as)
    labels = torch.full_like(images.labels, HIDDEN)
    labels[index] = images.labels[index]
    return Images(images.pixels, labels, images.pixels_as)
