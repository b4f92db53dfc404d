"""Writes codes z ~ q(z|x) with the number of the image they belong to (AVB figure 6)."""

import numpy
import torch

from benchmarks.metrics.trained import Estimate, Trained
from methods.training.atomic_files import write_arrays

NEEDS = ("encode", "data")
UNIT = "codes"
KIND = "exact"
BETTER = "neither"
NO_ERROR = "a number of codes"
LIMITS = (0.0, None)
IMAGES = "test images"
ARTEFACT = "latent_codes.npz"


def evaluate(trained: Trained, *, images: int = 4, draws: int = 512) -> Estimate:
    """`draws` codes for each of the first test images."""
    x = trained.test_x(images)
    with torch.no_grad():
        z = trained.method.encode(x.repeat_interleave(draws, 0)).cpu().numpy()
    label = numpy.repeat(numpy.arange(len(x)), draws)
    write_arrays(trained.folder / ARTEFACT, {"z": z, "image": label, "x": x.cpu().numpy()})
    return Estimate(float(len(z)), None, len(z), f"{len(x)} images, {draws} draws")
