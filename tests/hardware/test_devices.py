"""On a machine without a GPU: nothing mixes tensors of CPU and GPU, and no round of training waits for the GPU.

A wait leaves the GPU idle: nothing is queued until the program has seen the number. The GPU is pretended
(tests/helpers/pretended_cuda.py).
"""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from benchmarks.config import declarations
from benchmarks.jobs import training
from benchmarks.jobs.contract import Case, case_of
from benchmarks.metrics import trained as module_of_trained
from benchmarks.metrics.trained import Trained
from benchmarks.plan.suite import Suite
from benchmarks.posteriors import PROBLEMS
from benchmarks.posteriors.eight_schools import EightSchools
from methods.labels import HIDDEN, split
from methods.method import Method
from methods.networks.bodies import lay_out
from methods.training.game import Batch
from methods.training.minibatches import TRAINING, Images, Minibatches
from methods.training.trainer import Trainer, settings_from
from tests.helpers.device_jobs import PIXEL_BY_PIXEL, Jobs, pairs
from tests.helpers.pretended_cuda import MixedDevicesError, Pretended, pretended_cuda

pytestmark = pytest.mark.filterwarnings("ignore:CUDA is not available")  # says autocast, which does nothing here

# waits in a round that stay, and why
KNOWN_WAITS = {
    "methods/training/minibatches.py:Minibatches.__next__": "the index of the batch, drawn on the CPU, is copied",
    "methods/labels.py:split": "how many examples of a batch are labelled decides the shapes of all that follows",
    "methods/pixelcnn.py:PixelCNN.players.<locals>.<lambda>": "PyTorch's AveragedModel looks whether it is its first",
    "methods/pixelrnn.py:DiagonalBiLSTMLayer.forward": "four numbers are copied",
}
LATER = 30  # a round in which WGAN's critic has its usual number of moves
INCEPTION = ("fid", "kid", "inception_score")  # whose weights cannot be had here


def words(value: Any, key: str = "") -> set[tuple[str, Any]]:
    """What decides which code runs: keys of a specification, with the values that are names or switches."""
    if isinstance(value, dict):
        return {word for inner in value for word in words(value[inner], inner)} - {
            ("activation", value.get("activation"))
        }
    return {(key, value if isinstance(value, str | bool) else None)}


@cache
def trainings() -> dict[str, Case]:
    """The cases of smoke runs of every combination of networks, and of larger ones with another network or option."""
    found, seen, combinations = {}, set(), set()
    for profile in ("smoke", "laptop", "paper"):
        suite = Suite(profile)
        for run in suite.runs:
            case = case_of(suite, run)
            about = {key: case.specification[key] for key in ("method", "components", "options")}
            about |= {key: case.specification["train"][key] for key in ("optimiser", "simultaneous")}
            combination = frozenset((about["method"], *word) for word in words(about))
            if combination - seen or (profile == "smoke" and combination not in combinations):
                found[f"{profile}/{run}"] = case
            seen |= combination
            combinations.add(combination)
    return found


def on_cuda(case: Case) -> tuple[Method, Images]:
    """The case's method and images on the pretended GPU, as jobs make them; labels of the classes that there are."""
    labels, classes = case.images.labels, case.specification["options"].get("classes", 10)
    labels = None if labels is None else labels.clamp(max=classes - 1).to("cuda")
    method = lay_out(case.method().to("cuda"))
    return method, replace(case.images, pixels=case.images.pixels.to("cuda"), labels=labels)


def new_waits(waits: list[Any]) -> list[str]:
    """The waits that are not known."""
    return sorted({str(wait) for wait in waits if wait.place not in KNOWN_WAITS})


def test_the_pretence_finds_mixtures_and_waits():
    with pretended_cuda() as waits:
        x = torch.randn(3, 2, device="cuda")
        assert isinstance(x, Pretended)
        assert str(x.device) == "cuda:0"
        for mixes in (
            lambda: x + torch.ones(3, 2),
            lambda: torch.cat([x, torch.ones(1, 2)]),
            lambda: x.numpy(),
            lambda: torch.randn(2, device="cuda", generator=torch.Generator()),
            lambda: x.bernoulli(generator=torch.Generator()),
        ):
            with pytest.raises(MixedDevicesError):
                mixes()
        assert not waits
        assert (x * torch.tensor(2.0)).to(torch.float64)[0].device == (x.new_zeros(3) + x[:, 0]).device
        assert not waits
        for wait in (
            lambda: float(x.sum()),
            lambda: bool(x.any()),
            lambda: x.tolist(),
            lambda: x.nonzero(),
            lambda: x[x > 0],
            lambda: x.cpu().numpy(),
            lambda: torch.tensor([1.0], device="cuda"),
            lambda: x[torch.tensor([0])],
        ):
            before = len(waits)
            wait()
            assert len(waits) > before


def test_a_pretended_gpu_gives_the_numbers_of_the_cpu():
    linear = torch.nn.Linear(2, 2)
    torch.manual_seed(1)
    here = torch.autograd.grad(linear(torch.randn(3, 2)).square().sum(), linear.weight)[0]
    torch.manual_seed(1)
    with pretended_cuda():
        linear.to("cuda")
        there = torch.autograd.grad(linear(torch.randn(3, 2, device="cuda")).square().sum(), linear.weight)[0]
        assert torch.equal(there.cpu(), here)


@pytest.mark.parametrize("name", trainings())
def test_a_round_stays_on_the_device_and_does_not_wait(name, tmp_path):
    case = trainings()[name]
    size = case.specification["train"]["batch_size"] if name.startswith("smoke") else 2
    with pretended_cuda() as waits:
        method, images = on_cuda(case)
        options = {"steps": 2 * LATER, "snapshots": [], "validate_every": 0, "batch_size": min(size, 16)}
        trainer = Trainer(method, images, settings_from({**case.specification["train"], **options}), tmp_path, seed=7)
        method.initialise(trainer.batches.first())
        trainer.step = LATER
        waits.clear()
        losses = trainer.one_round()
        assert set(losses) == set(case.declared.literals["player_names"])
        assert not new_waits(waits)


@pytest.mark.parametrize("pixels_as", TRAINING)
def test_a_minibatch_waits_for_its_index_only(pixels_as):
    with pretended_cuda() as waits:
        pixels = torch.zeros(8, 1, 2, 2, dtype=torch.uint8, device="cuda")
        batches = Minibatches(Images(pixels, torch.arange(8, device="cuda"), pixels_as), 4, 0)
        waits.clear()
        batch = next(batches)
        assert isinstance(batch.x, Pretended)
        assert isinstance(batch.y, Pretended)
        assert [wait.operation for wait in waits] == ["to"]


def test_a_training_continues_on_the_device(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: torch.set_rng_state(state))
    case = trainings()["smoke/vae-mnist-8"]
    options = {**case.specification["train"], "steps": 4, "snapshots": []}
    with pretended_cuda():

        def trainer() -> Trainer:
            return Trainer(*on_cuda(case), settings_from(options), tmp_path, seed=7)

        first = trainer()
        first.one_round()
        first.save(0.0)
        expected = first.one_round()["model"].item()
        second = trainer()
        assert second.resume()
        assert second.one_round()["model"].item() == expected
        second.finish({})


def methods() -> dict[str, Case]:
    """The case of one small run of every method."""
    found: dict[str, Case] = {}
    for name, case in trainings().items():
        if name.startswith("smoke"):
            found.setdefault(case.declared.name, case)
    return found


@pytest.mark.parametrize("name", methods())
def test_what_evaluation_asks_stays_on_the_device(name):
    case, provides = methods()[name], methods()[name].declared.provides()
    if name in PIXEL_BY_PIXEL:
        case = replace(case, images=Images(case.images.pixels[:2, :, :8, :8], None, case.images.pixels_as))
    with pretended_cuda(), torch.no_grad():
        method, images = on_cuda(case)
        method.eval()
        batch = images.batch(torch.arange(min(4, len(images)), device="cuda"))
        shapes = case.problem is None
        asked = {
            "sample": lambda: method.sample(2, batch.x.device),
            "reconstruct": lambda: method.reconstruct(batch.x),
            "encode": lambda: method.encode(batch.x),
            "draw": lambda: method.draw(2, batch.x.device)[0],  # type: ignore[operator]
            "sample_class": lambda: method.sample_class(batch.y),  # type: ignore[operator]
            "log_weight": lambda: method.log_weight(batch),  # type: ignore[operator]
            "log_prob": lambda: method.log_prob(batch.x),  # type: ignore[operator]
        }
        found = {*provides, *(("sample",) if "decoder" in provides and shapes else ())}
        for answer in asked.keys() & found:
            assert isinstance(asked[answer](), Pretended), answer


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> Iterator[Jobs]:
    def pixels(trained: Trained, download: bool):
        return lambda x: (x.flatten(1)[:, :20], x.flatten(1)[:, :10])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "open_data", cache(training.open_data))
        patch.setattr(module_of_trained, "FEWEST", 0)  # else the few images here get a million draws
        for metric in INCEPTION:
            patch.setattr(importlib.import_module(f"benchmarks.metrics.{metric}"), "inception_of", pixels)
        yield Jobs(tmp_path_factory.mktemp("jobs"))


@pytest.mark.parametrize(("metric", "run"), pairs())
def test_a_metric_stays_on_the_device(metric, run, jobs):
    jobs.opened(run, "cpu")  # trained without the pretence
    with pretended_cuda():
        found = jobs.result(metric, run, "cuda")
    if found.status != "ok":
        here = jobs.result(metric, run, "cpu")
        assert (found.status, found.reason) == (here.status, here.reason)
        pytest.skip(f"{metric} of {run} on the CPU too: {here.reason}")


def test_every_metric_is_tried():
    assert {metric for metric, _ in pairs()} == set(declarations.metrics())


def test_eight_schools_on_the_device():
    here = EightSchools()
    z = here.exact_draws(50, torch.Generator().manual_seed(3))
    with pretended_cuda() as waits:
        there = EightSchools().to("cuda")
        assert there.log_evidence() == here.log_evidence()
        drawn = there.exact_draws(50, torch.Generator().manual_seed(3))
        assert isinstance(drawn, Pretended)
        assert torch.equal(drawn.cpu(), z)
        for found, expected in zip(there.log_tau(drawn[:, 1]), here.log_tau(z[:, 1]), strict=True):
            assert torch.equal(found.cpu(), expected)
        assert torch.equal(there.log_posterior(drawn).cpu(), here.log_posterior(z))
        waits.clear()
        there.log_posterior(drawn)  # the evidence is known by now
        assert not waits


def test_the_posterior_of_eight_schools_is_normalised():
    """It is the product of p(tau|y), p(mu|tau, y) and p(eta|mu, tau, y), of which each is normalised."""
    problem = EightSchools()
    z = problem.exact_draws(200, torch.Generator().manual_seed(0))
    mu, tau, eta = z[:, 0], z[:, 1], z[:, 2:]
    log_joint, mean, precision = problem.log_tau(tau)
    q = 1 + (tau[:, None] / problem.sigma).square()
    centre = tau[:, None] * (problem.y - mu[:, None]) / problem.sigma.square() / q
    log_p = log_joint - problem.log_evidence() + Normal(mean, precision.rsqrt()).log_prob(mu)
    torch.testing.assert_close(problem.log_posterior(z), log_p + Normal(centre, q.rsqrt()).log_prob(eta).sum(1))
    assert problem.log_posterior(z.float()).dtype == torch.float32


@pytest.mark.parametrize("name", ["torus", "rosenbrock"])
def test_plane_targets_on_the_device(name):
    with pretended_cuda():
        problem = PROBLEMS[name]().to("cuda")
        z = torch.randn(5, 2, device="cuda")
        assert isinstance(problem.log_likelihood(z, z) + problem.log_prior(z), Pretended)
        assert problem.exact_draws(10, torch.Generator().manual_seed(0)).shape == (10, 2)


def test_a_split_is_that_of_the_mask():
    for mask in (torch.rand(50) < 0.3, torch.ones(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)):
        first, second = split(mask)
        assert torch.equal(first, mask.nonzero().squeeze(1))
        assert torch.equal(second, (~mask).nonzero().squeeze(1))


@pytest.mark.parametrize("name", ["CGAN", "CVAE"])
def test_hidden_labels_are_found_before_training(name):
    with pretended_cuda():
        method, images = on_cuda(methods()[name])
        hidden: Tensor = torch.full((4,), HIDDEN, device="cuda")
        for y in (None, hidden):
            with pytest.raises(ValueError, match="needs a label for every example"):
                method.initialise(Batch(images.batch(torch.arange(4, device="cuda")).x, y))
