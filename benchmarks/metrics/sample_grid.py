"""Writes grids of data, of decoder means at z ~ p(z), and of reconstructions (AVB figure 7)."""

import numpy
import torch

from benchmarks.trained import Estimate, Trained

NEEDS = ("decoder", "encode", "data")
UNIT = "images"
KIND = "exact"
BETTER = "neither"
ARTEFACT = "sample_grid.npz"


def evaluate(trained: Trained, *, n: int = 64) -> Estimate:
    """Means, not samples, as in the authors' figure."""
    assert trained.data is not None
    x = trained.test_x(n)
    decoder = trained.method.decoder
    with torch.no_grad():
        samples = decoder(decoder.sample_prior(n, trained.device)).mean.cpu().numpy()
        again = decoder(trained.method.encode(x)).mean.cpu().numpy()
    data = trained.data.train.batch(torch.arange(min(n, len(trained.data.train)))).x.cpu().numpy()
    numpy.savez_compressed(
        trained.folder / ARTEFACT, data=data, samples=samples, test=x.cpu().numpy(), reconstructions=again
    )
    return Estimate(float(n), None, n, f"n={n}")
