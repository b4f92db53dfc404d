"""Types of the weights that are brought: floats become the network's own, what would be other numbers is refused."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.errors import SuiteError
from benchmarks.jobs import external, materials
from benchmarks.plan.suite import Suite

HALVES = (torch.float16, torch.bfloat16)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(here, change):
    """(initial weights of a run, what reads the file in which `change` of each stands); some are integers."""
    suite, run = Suite("smoke"), "classifier-mnist"
    specification = suite.specification(run)
    _, problem, images = materials.open_data(specification["dataset"], here, torch.device("cpu"))
    weights = materials.build(specification, images, problem, 0).state_dict()
    save_file({name: change(name, t).contiguous() for name, t in weights.items()}, here / "w.safetensors")
    return weights, lambda: external.weights_of(here / "w.safetensors", suite, run, here, torch.device("cpu"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES])
def test_weights_of_every_float_type_are_the_networks_own_type(here, capsys, dtype):
    weights, read = stored(here, lambda name, t: t.to(dtype) if t.is_floating_point() else t)
    found = read()
    assert {name: t.dtype for name, t in found.items()} == {name: t.dtype for name, t in weights.items()}
    assert torch.int64 in {t.dtype for t in found.values()}  # num_batches_tracked stays an integer
    for name, t in weights.items():
        assert torch.equal(found[name], t.to(dtype).to(t.dtype) if t.is_floating_point() else t)
    line = capsys.readouterr().err
    rounded = f"weights rounded to {str(dtype).removeprefix('torch.')}, computed with in float32"
    assert (rounded in line) == (dtype in HALVES)
    assert line.count("\n") == (dtype in HALVES)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.float8_e4m3fn, torch.complex64])
def test_weights_of_a_type_that_holds_other_numbers_are_refused(here, dtype):
    weights, read = stored(here, lambda name, t: t.to(dtype))
    name = next(iter(weights))
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(SuiteError, match=rf"w.safetensors: {name} is {kind}; expected float32 or float64 or float16"):
        read()


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.bfloat16])
def test_integers_of_a_network_stay_integers(here, dtype):
    _, read = stored(here, lambda name, t: t if t.is_floating_point() else t.to(dtype))
    with pytest.raises(SuiteError, match=r"num_batches_tracked is .*; expected int64: store it as it was trained"):
        read()


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), None), (-float("inf"), None), (1e300, torch.float64)])
def test_weights_that_are_not_finite_are_named(here, value, dtype):
    weights, read = stored(here, lambda name, t: t.to(dtype or t.dtype) if t.is_floating_point() else t)
    name = list(weights)[1]
    changed = load_file(here / "w.safetensors")
    changed[name].view(-1)[:2] = value
    save_file(changed, here / "w.safetensors")
    with pytest.raises(SuiteError, match=rf"w.safetensors: {name} holds 2 numbers that are NaN or infinite"):
        read()
