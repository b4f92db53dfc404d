"""Scores of samples: closed forms, pytorch-fid's own numbers, and held-out images against noise."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy
import pytest
import torch
from scipy.linalg import sqrtm

from benchmarks.config.models import Dataset, load_file
from benchmarks.data.datasets import load
from benchmarks.errors import NotRunError, SuiteError
from benchmarks.metrics import accuracy, classifier_fid, classifier_score, fid, inception_score, rmse, sharpness
from benchmarks.metrics.estimators.inception import WEIGHTS, inception, weights_file
from benchmarks.metrics.estimators.scores import frechet_distance, inception_scores, judged, moments
from benchmarks.metrics.trained import Classifier as Judge
from benchmarks.metrics.trained import Trained
from methods.classifier import Classifier, ResNet
from methods.training.minibatches import Images
from methods.training.trainer import Settings, Trainer


def test_inception_score_of_known_tables():
    p = numpy.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.9, 0.05, 0.05]])
    assert inception_scores(p, 1)[0] == pytest.approx(1.418836, abs=1e-6)
    assert inception_scores(numpy.full((6, 3), 1 / 3), 2) == pytest.approx([1, 1])
    assert inception_scores(numpy.tile(numpy.eye(10), (2, 1)), 2) == pytest.approx([10, 10])


def test_scores_refuse_what_they_cannot_score():
    with pytest.raises(ValueError, match="3 images for 4 splits"):
        inception_scores(numpy.full((3, 2), 0.5), 4)
    with pytest.raises(ValueError, match="probabilities"):
        inception_scores(numpy.full((4, 2), 0.7), 1)
    with pytest.raises(ValueError, match="finite"):
        moments(numpy.array([[1.0, numpy.nan], [0.0, 1.0]]))


def test_frechet_distance_of_gaussians_in_closed_form():
    random = numpy.random.default_rng(0)
    m1, m2 = random.normal(size=(2, 7))
    v1, v2 = random.uniform(0.1, 3, size=(2, 7))
    wanted = ((m1 - m2) ** 2).sum() + ((numpy.sqrt(v1) - numpy.sqrt(v2)) ** 2).sum()
    assert frechet_distance((m1, numpy.diag(v1)), (m2, numpy.diag(v2))) == pytest.approx(wanted, rel=1e-9)
    a, b = random.normal(size=(2, 7, 9))
    c1, c2 = a @ a.T, b @ b.T
    wanted = ((m1 - m2) ** 2).sum() + numpy.trace(c1 + c2 - 2 * numpy.real(sqrtm(c1 @ c2)))
    assert frechet_distance((m1, c1), (m2, c2)) == pytest.approx(wanted, rel=1e-6)


def test_frechet_distance_to_itself_is_zero_with_fewer_images_than_features():
    own = moments(numpy.random.default_rng(0).normal(size=(20, 64)))
    assert abs(frechet_distance(own, own)) < 1e-3


@cache
def random_weights() -> dict[str, torch.Tensor]:
    """Inception's weights at random, with batch statistics of noise, so that features differ between images."""
    from pytorch_fid.inception import fid_inception_v3
    from torchvision.models import inception_v3

    from benchmarks.metrics.estimators import inception as module

    torch.manual_seed(1)
    weights = inception_v3(num_classes=1008, aux_logits=False, init_weights=False).state_dict()
    with module.patch("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: weights):
        network = fid_inception_v3().train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network(torch.rand(4, 3, 299, 299))
        network.fc.weight.normal_()
    return {k: v for k, v in network.state_dict().items() if not k.startswith("AuxLogits")}


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    definition = load_file("datasets.yml", Dataset)["patches"]
    return load("patches", definition, tmp_path_factory.mktemp("data"), torch.device("cpu"))


def test_features_and_fid_are_pytorch_fids(patches, tmp_path):
    """Its own command's functions, on the same images written as PNG, with the same weights."""
    from pytorch_fid.fid_score import calculate_activation_statistics, calculate_frechet_distance
    from pytorch_fid.inception import InceptionV3
    from torchvision.utils import save_image

    from benchmarks.metrics.estimators.inception import patch

    x, y = patches.test_x[:8], patches.validation_x[:8]
    judge = inception(random_weights())
    with patch("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: random_weights()):
        network = InceptionV3([3]).eval()
    theirs = []
    for name, images in (("x", x), ("y", y)):
        files = [tmp_path / f"{name}{i}.png" for i in range(8)]
        for image, file in zip((images * 256).floor() / 255, files, strict=True):
            save_image(image, file)
        theirs.append(calculate_activation_statistics(files, network, 4, 2048, "cpu", 0))
    ours = [moments(judged(judge, images)[0]) for images in (x, y)]
    for (m1, c1), (m2, c2) in zip(ours, theirs, strict=True):
        assert numpy.allclose(m1, m2, rtol=1e-3, atol=1e-5)
        assert numpy.allclose(c1, c2, rtol=1e-3, atol=1e-5 * numpy.abs(c2).max())

    def part(mean, covariance):
        """Of 256 features, as its matrix root of all 2048 takes half a minute; it needs full rank, too."""
        c = covariance[::8, ::8]
        return mean[::8], c + 0.01 * numpy.trace(c) / len(c) * numpy.eye(len(c))

    wanted = calculate_frechet_distance(*part(*theirs[0]), *part(*theirs[1]))
    assert frechet_distance(part(*ours[0]), part(*ours[1])) == pytest.approx(wanted, rel=1e-3)


def test_scores_do_not_depend_on_the_batch_size(patches):
    judge = inception(random_weights())
    one, other = (judged(judge, patches.test_x[:6], batch) for batch in (6, 4))
    assert numpy.allclose(one[0], other[0], rtol=1e-4, atol=1e-6)
    assert numpy.allclose(one[1], other[1], rtol=1e-4)


def trained_with(data, samples, folder, **more) -> Trained:
    """A "method" whose samples are given images: the controls."""

    class Given:
        pieces = iter(samples.split(64))

        def sample(self, n, device):
            return next(self.pieces)

    method: Any = Given()
    return Trained(
        method, 1, data.name, data, None, folder, folder / "references", torch.device("cpu"), root=folder, **more
    )


def test_without_weights_a_score_is_not_run_and_wrong_ones_are_an_error(patches, tmp_path):
    control = trained_with(patches, patches.test_x, tmp_path)
    with pytest.raises(NotRunError, match=r"not in the data root; .*doctor"):
        inception_score.evaluate(control, n=4, splits=1, download=False)
    with pytest.raises(NotRunError, match="not in the data root"):
        fid.evaluate(control, n=4, download=False)
    (tmp_path / WEIGHTS).write_bytes(b"half a file")
    with pytest.raises(SuiteError, match="delete it"):
        weights_file(tmp_path, download=False)


def test_inception_judges_no_grey_images(tmp_path):
    grey = load("digits", load_file("datasets.yml", Dataset)["digits"], tmp_path, torch.device("cpu"))
    with pytest.raises(NotRunError, match="colour"):
        fid.evaluate(trained_with(grey, grey.test_x, tmp_path), n=4, download=False)


def test_fid_ranks_held_out_images_above_noise(patches, tmp_path, monkeypatch):
    for module in (fid, inception_score):
        monkeypatch.setattr(module, "inception_of", lambda trained, download: inception(random_weights()))
    noise = torch.rand_like(patches.test_x[:64])
    few = Images(patches.train.pixels[:40], None, patches.train.pixels_as)  # all of these are the reference
    patches = replace(patches, train=few)
    real = fid.evaluate(trained_with(patches, patches.test_x, tmp_path), n=16)
    fake = fid.evaluate(trained_with(patches, noise, tmp_path), n=16)
    assert fake.value > 2 * real.value > 0
    assert real.protocol == fake.protocol
    kept = sorted(path.stem for path in (tmp_path / "references" / "statistics").glob("*.npz"))
    assert ["frechet-16-of-controls" in name for name in kept] == [True, False]  # real data once for both
    assert fake.controls == real.controls
    assert set(real.controls) == set(fid.CONTROLS)
    scores = [
        inception_score.evaluate(trained_with(patches, images, tmp_path), n=16, splits=1).value
        for images in (patches.test_x, noise)
    ]
    assert scores[0] > scores[1] >= 1


@pytest.fixture(scope="module")
def judge_of_digits(tmp_path_factory):
    """Digits, and a classifier of them trained for a few seconds."""
    folder = tmp_path_factory.mktemp("classifier")
    data = load("digits-grey", load_file("datasets.yml", Dataset)["digits-grey"], folder, torch.device("cpu"))
    torch.manual_seed(0)
    method = Classifier(ResNet((1, 8, 8), [16, 32]))
    Trainer(method, data.train, Settings(120, 64, 3e-3, decay_from=0.3), folder, seed=0).run()
    method.eval()
    own = Trained(method, 1, "digits-grey", data, None, folder, folder, torch.device("cpu"))
    found = accuracy.evaluate(own)
    return data, Judge(method.judge, "key", {"classifier's test accuracy": found.value}), found


def test_accuracy_and_own_score_of_test_images(judge_of_digits):
    data, _, found = judge_of_digits
    assert found.value > 94
    assert found.n == len(data.test_x)
    assert 5 < found.details["inception score of test images"] < 10


def test_scores_by_our_classifier_rank_images_above_noise(judge_of_digits, tmp_path):
    data, judge, _ = judge_of_digits
    noise = torch.rand_like(data.test_x)
    one_class = data.test_x[data.test_y == 3].repeat(8, 1, 1, 1)
    found = {}
    for name, images in (("real", data.test_x), ("noise", noise), ("one class", one_class)):
        control = trained_with(data, images, tmp_path, find_classifier=lambda: judge)
        score = classifier_score.evaluate(control, n=192, splits=2)
        distance = classifier_fid.evaluate(control, n=192)
        assert score.details == {**distance.details, "sd over splits": score.details["sd over splits"]}
        found[name] = score.value, distance.value
    assert found["real"][0] > 2 * max(found["noise"][0], found["one class"][0])
    assert 4 * found["real"][1] < min(found["noise"][1], found["one class"][1])


def test_no_classifier_no_score(patches, tmp_path):
    with pytest.raises(NotRunError, match="no classifier"):
        classifier_score.evaluate(trained_with(patches, patches.test_x, tmp_path), n=4, splits=1)


def test_sharpness_and_rmse_rank_their_controls(patches, tmp_path):
    smooth = torch.nn.functional.avg_pool2d(patches.test_x, 3, 1, 1)
    images = (patches.test_x.flip(0), smooth, torch.rand_like(smooth))
    real, blurred, noise = (sharpness.evaluate(trained_with(patches, x, tmp_path), n=128).value for x in images)
    assert blurred < 0.7 * real < noise
    assert real == pytest.approx(1, abs=0.15)

    class Reconstructor:
        def __init__(self, output):
            self.reconstruct = output

    def error(output):
        method: Any = Reconstructor(output)
        return rmse.evaluate(replace(trained_with(patches, patches.test_x, tmp_path), method=method), n=64)

    assert error(lambda x: x).value == 0
    off = error(lambda x: x + 0.1)
    assert off.value == pytest.approx(0.1 * 3072**0.5, rel=1e-4)
    assert off.details["per sub-pixel, 0 to 255"] == pytest.approx(25.5, rel=1e-4)
    assert error(torch.rand_like).value > off.value
