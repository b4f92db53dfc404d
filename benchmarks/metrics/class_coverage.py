"""How many classes samples have, relative to test images: perplexities of the classes that the classifier says.

exp(H) of the classes of samples over that of test images: 1 is as many classes, as evenly, as in the data; one class
alone of ten is 0.1. It tells missing modes (Unifying sections 3.2.1, 3.4) only where these are classes. Each image
counts for its likeliest class, so that blur, of which a classifier is unsure, is not taken for variety.
"""

import numpy

from benchmarks.metrics.estimators.scores import Judge, judged, kept_controls, noise_judged, sample_judged
from benchmarks.metrics.trained import Estimate, Trained

NEEDS = ("sample", "data", "classifier")
UNIT = "relative to test images"
KIND = "estimate"
BETTER = "higher"
BIAS = "none for as many classes as data; downward by up to (classes - 1)/(2n) for fewer; noise is some class, too"
ERROR = "over samples and test images"
VARIES = "samples"
IMAGES = "samples against test images"
LIMITS = (0.0, None)
CONTROLS = ("noise",)


def entropy(classes: numpy.ndarray) -> tuple[float, float]:
    """(entropy, its variance) in nats of the frequencies of integer classes [n].

    Var = (sum p log^2 p - H^2) / n + (classes - 1) / (2 n^2) (Harris 1975), whose first part, of the same frequencies,
    is too large by (classes - 1) / n^2.
    """
    n = len(classes)
    p = numpy.unique(classes, return_counts=True)[1] / n
    found, more = -float((p * numpy.log(p)).sum()), (len(p) - 1) / n
    first = float((p * numpy.log(p) ** 2).sum()) - found**2
    return found, (max(first - more, 0.0) + more / 2) / n


def coverage(samples: numpy.ndarray, test: numpy.ndarray, protocol: str, noise: float) -> Estimate:
    """From the class of each sample [n] and of each test image [m]; details: the two perplexities."""
    (fake, of_samples), (real, of_images) = entropy(samples), entropy(test)
    value = float(numpy.exp(fake - real))
    details: dict[str, float | str] = {
        "classes of samples (perplexity)": float(numpy.exp(fake)),
        "classes of test images (perplexity)": float(numpy.exp(real)),
    }
    return Estimate(
        value,
        value * (of_samples + of_images) ** 0.5,  # delta method
        len(samples),
        f"{protocol}, n={len(samples)}, {len(test)} test images",
        details,
        images_error=value * of_images**0.5,
        controls={"noise": noise},
    )


def judged_coverage(trained: Trained, judge: Judge, key: str, name: str, n: int) -> Estimate:
    """Of n samples and of the first n test images: as many, so that the bias by their number cancels.

    Control: n training images with shuffled pixels.
    """
    test = judged(judge, trained.test_x(n))[1].argmax(1)

    def at_chance() -> dict[str, float]:
        said = noise_judged(trained, judge, key, n)[1].argmax(1)
        return {"noise": float(numpy.exp(entropy(said)[0] - entropy(test)[0]))}

    noise = kept_controls(trained, judge, key, f"coverage-{n}", at_chance)["noise"]
    return coverage(sample_judged(trained, judge, key, n)[1].argmax(1), test, name, noise)


def evaluate(trained: Trained, *, n: int = 1000) -> Estimate:
    """n samples against n test images, by the dataset's own classifier."""
    classifier = trained.classifier()
    return judged_coverage(trained, classifier.judge, f"classifier-{classifier.key}", "our classifier", n)
