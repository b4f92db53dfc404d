"""How many of Inception's classes samples have, relative to test images: `class_coverage` by another judge.

For data without a classifier of the suite (ImageNet, AS-VAE section 5.4). The weights are those of `inception_score`,
which fetches them; without them there is no value.
"""

from benchmarks.metrics.class_coverage import judged_coverage
from benchmarks.metrics.estimators.inception import CHECKSUM, inception_of
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data")
UNIT = "relative to test images"
KIND = "estimate"
BETTER = "higher"
BIAS = "none for as many classes as data; downward by up to (classes - 1)/(2n) for fewer; noise is some class, too"
ERROR = "over samples and test images"
VARIES = "samples"
IMAGES = "samples against test images"
LIMITS = (0.0, None)
CONTROLS = ("noise",)
FILES = ("pt_inception-2015-12-05-6726825d.pth",)


def evaluate(trained: Trained, *, n: int = 10_000) -> Estimate:
    """n samples against n test images."""
    judge = inception_of(trained, download=False)
    return judged_coverage(trained, judge, f"inception-{CHECKSUM}", "Inception (pytorch-fid)", n)
