"""Writes samples.npz: 1,000 images that stand for what one's own generator draws, scikit-learn's digits with noise."""

import numpy
from sklearn.datasets import load_digits

random = numpy.random.default_rng(0)
digits = load_digits().images / 16  # [1797, 8, 8], the data that stand in for MNIST in profile quick
samples = digits[random.permutation(len(digits))[:1000]] + 0.1 * random.standard_normal((1000, 8, 8))
numpy.savez("samples.npz", samples=samples.clip(0, 1).astype(numpy.float32))
