"""Published numbers that once were wrong here, as the papers print them."""

import pytest

from benchmarks.config.published import published_values

INCEPTION_SCORES = {  # Unifying, table 2 left; the ICLR version prints .04 for IWGAN on MNIST
    ("MNIST", "GAN"): (8.34, 0.03),
    ("MNIST", "IWGAN"): (8.45, 0.04),
    ("SVHN", "GAN"): (5.18, 0.03),
    ("SVHN", "IWGAN"): (5.34, 0.03),
    ("CIFAR10", "GAN"): (7.86, 0.05),
    ("CIFAR10", "IWGAN"): (7.89, 0.04),
}


@pytest.mark.parametrize(("cell", "expected"), INCEPTION_SCORES.items())
def test_inception_scores_of_unifying_are_as_printed(cell, expected):
    found = published_values()["unifying-table-2-left", *cell]
    assert (found.value, found.error) == expected
