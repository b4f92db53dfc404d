"""Every method of the registry at a size at which a test runs in a moment, on 2x2 or 8x8 images."""

from typing import Any

from benchmarks.jobs.contract import case_of, few_images
from benchmarks.plan.suite import Suite
from methods.method import Method
from methods.training.minibatches import Images

# a run of the smoke profile for every method and variant
RUNS = (
    "vae-4-point",
    "avb-4-point",
    "avb-ac-4-point",
    "avb-fgan-4-point",
    "aae-4-point",
    "avb-ac-mnist-8",
    "vae-nf-mnist",
    "vae-iaf-mnist",
    "auxiliary-vae-mnist",
    "vae-hvi-mnist",
    "conv-vae-hvi-mnist",
    "avb-ac-eight-schools",
    "vb-mean-field-eight-schools",
    "vb-full-rank-eight-schools",
    "asvae-mnist",
    "asvae-r-mnist",
    "asvae-g-mnist",
    "asvae-cifar10",
    "ali-cifar10",
    "bigan-cifar10",
    "dcgan-cifar10",
    "wgan-cifar10",
    "mix-wgan-cifar10",
    "pixelrnn-mnist",
    "pixelrnn-row-cifar10",
    "pixelcnn-cifar10",
    "classifier-digits",
)
# methods that Unifying only formulates
FORMULATED = (
    "ada-mnist",
    "infogan-mnist",
    "vaegan-mnist",
    "wake-sleep-mnist",
    "cyclegan-mnist",
    "predictability-mnist",
)
RUNS = RUNS + FORMULATED
CONDITIONAL = (
    "gan-mnist",
    "iwcgan-mnist",
    "iwgan-cifar10",
    "hu-cvae-10",
    "hu-svae-10",
    "hu-aavae-10",
    "hu-aacvae-10",
    "hu-aasvae-10",
)
RUNS = RUNS + CONDITIONAL
RUNS = (*RUNS, "bavae-mnist", "bavae-point-mnist", "bavae-cifar10", "ali-mnist")
SUITE = Suite("smoke")


def images_of(run: str) -> Images:
    """A few images of the run's shape; none for a problem."""
    return few_images(*SUITE.dataset_of(run))


def method_of(run: str, seed: int = 0) -> tuple[Method, Images, dict[str, Any]]:
    """(method, images, specification) with initial weights."""
    case = case_of(SUITE, run)
    return case.method(seed), case.images, case.specification
