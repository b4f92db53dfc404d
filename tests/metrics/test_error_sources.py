"""Standard errors by what they are over, and the values at each test image that are kept for paired comparisons."""

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch

from benchmarks.config import declarations
from benchmarks.jobs import evaluate, training
from benchmarks.jobs.collect import rows_of
from benchmarks.jobs.evaluate import errors_of, run_metric
from benchmarks.metrics import adversarial_elbo, ais, log_likelihood
from benchmarks.metrics.estimators.mmd import kernel_distance
from benchmarks.metrics.sample_audit import nearer
from benchmarks.metrics.trained import Estimate, average
from benchmarks.plan.suite import Job
from benchmarks.store.metric_files import faults, images_file, per_image_values
from benchmarks.store.records import MetricFile, Result, read, write
from tests.helpers.controls import CONTROLS, linear, trained
from tests.helpers.small import SUITE

METRICS = declarations.metrics()
BY_IMAGE = sorted(name for name in CONTROLS if "per_image" in METRICS[name].literals)


# --- what metrics declare


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_what_its_error_is_over_and_between_which_limits_it_is(name):
    says = METRICS[name].literals
    assert ("varies" in says) == ("error" in says)
    assert says.get("varies", "images") in ("images", "samples", "draws")
    low, high = says["limits"]
    assert low is None or high is None or low < high
    assert says.get("step", 1.0) > 0
    if "per_image" in says:
        assert says["varies"] == "images"
        assert says["images"].startswith("test images")
        assert says["per_image"] in ("values", "squares")


# --- sources


def test_noise_of_the_terms_and_their_spread_are_told_apart_in_closed_form():
    values, noise = torch.tensor([1.0, 2.0, 3.0, 6.0]), torch.tensor([0.1, 0.2, 0.2, 0.4])
    found = average(values, noise=noise)
    total = math.sqrt(14 / 3 / 4)  # squares of -2, -1, 0, 3
    assert found.standard_error == pytest.approx(total)
    assert found.draws_error == pytest.approx(math.sqrt(0.25) / 4)
    errors = errors_of(found, "images")
    assert errors == {"images": pytest.approx(math.sqrt(total**2 - 0.125**2)), "draws": pytest.approx(0.125)}
    assert found.per_image is not None
    assert found.per_image.tolist() == values.tolist()


def test_of_a_whole_population_all_is_noise_and_without_noise_the_mean_is_exact():
    values, noise = torch.tensor([1.0, 5.0]), torch.tensor([0.3, 0.4])
    assert errors_of(average(values, noise=noise, population=True), "images") == {"draws": pytest.approx(0.25)}
    assert errors_of(average(values, population=True), "images") == {"draws": 0.0}
    assert errors_of(average(values), "images") == {"images": pytest.approx(2.0)}
    assert errors_of(average(values[:1], noise=noise[:1]), "images") == {}  # one image does not show how they differ


def test_the_spread_of_images_is_found_whatever_the_noise():
    """Terms of sd 2 over images, each estimated with noise of sd 3: the parts are 2 and 3 over the root of n."""
    n, random = 200, numpy.random.default_rng(0)
    found: dict[str, list[float]] = {"images": [], "draws": []}
    for _ in range(200):
        draws = random.normal(0, 2, n)[:, None] + random.normal(0, 3 * 16**0.5, (n, 16))
        noise = torch.from_numpy(draws.std(1, ddof=1) / 16**0.5)
        for source, part in errors_of(average(torch.from_numpy(draws.mean(1)), noise=noise), "images").items():
            found[source].append(part)
    assert numpy.mean(found["images"]) == pytest.approx(2 / n**0.5, rel=0.05)
    assert numpy.mean(found["draws"]) == pytest.approx(3 / n**0.5, rel=0.02)


@pytest.mark.parametrize("parts", [(None, None), (0.5, None), (0.5, 0.6), (None, 3.0), (2.0, 2.0), (0.0, 0.0)])
@pytest.mark.parametrize("varies", ["images", "samples", "draws"])
def test_squares_of_the_parts_add_up_to_that_of_the_whole(parts, varies):
    images = None if varies == "images" else parts[0]
    draws = None if varies == "draws" else parts[1]
    found = errors_of(Estimate(1.0, 1.25, images_error=images, draws_error=draws), varies)
    assert math.hypot(*found.values()) == pytest.approx(1.25)
    assert varies in found
    assert errors_of(Estimate(1.0), varies) == {}


def test_the_part_of_the_audits_error_over_test_images_is_their_spread():
    random = numpy.random.default_rng(0)
    samples = random.normal(size=60)
    draws = [nearer(samples, random.normal(0.5, 1, size=90)) for _ in range(400)]
    values, errors, over_test = numpy.array(draws).T
    assert over_test.mean() == pytest.approx(values.std(), rel=0.12)  # the samples are the same each time
    assert errors.mean() > 1.2 * over_test.mean()


def test_the_part_of_a_kernel_distances_error_over_real_images_is_their_spread():
    random = numpy.random.default_rng(0)
    x = random.normal(size=(400, 4)) + 1.0  # the same each time
    found = [kernel_distance(x, random.normal(size=(60, 4)), 60, 30, "") for _ in range(80)]
    values = numpy.array([one.value for one in found])
    of_real = numpy.array([one.images_error for one in found])
    assert (of_real**2).mean() ** 0.5 == pytest.approx(values.std(), rel=0.25)
    assert all(math.hypot(*errors_of(one, "samples").values()) == pytest.approx(one.standard_error) for one in found)


# --- values at each image


def estimates_of(name: str, folder) -> list[Estimate]:
    """Of the metric's positive and negative control, or of what takes less time."""
    if name == "adversarial_elbo":
        method = SimpleNamespace(elbo_estimate=lambda batch, draws: batch.x.flatten(1).sum(1))
        return [adversarial_elbo.evaluate(trained(method, linear().data))]
    if name == "log_likelihood":
        return [log_likelihood.evaluate(linear(), side=101)]
    return list(CONTROLS[name](folder))


@pytest.mark.parametrize("name", BY_IMAGE)
def test_the_mean_over_images_is_the_value(name, tmp_path):
    for found in estimates_of(name, tmp_path):
        assert found.per_image is not None
        values = found.per_image.float().double()  # as they are stored
        assert len(values) == found.n
        mean = float(values.mean())
        if METRICS[name].literals["per_image"] == "squares":
            mean = mean**0.5
        assert mean == pytest.approx(found.value, rel=1e-6, abs=1e-6)


def test_where_the_importance_bound_replaces_annealing_its_values_do(tmp_path):
    at = linear()
    method: Any = SimpleNamespace(
        encoder=at.method.encoder,
        decoder=at.method.decoder,
        encode=at.method.encode,
        log_weight=lambda batch: torch.full((len(batch.x),), 7.0),
    )
    provides = frozenset({"encode", "log_weight"})
    found = ais.evaluate(trained(method, at.data, provides=provides), distributions=5, chains=2, n=20, samples=10)
    assert (found.kind, found.value, found.draws_error) == ("lower bound", pytest.approx(7.0), 0.0)
    assert found.per_image is not None
    assert found.per_image.tolist() == pytest.approx([7.0] * 20)


def test_they_are_written_of_the_final_weights_and_read_again(tmp_path):
    found = linear()
    for final, there in ((False, False), (True, True)):
        at: Any = trained(found.method, found.data, tmp_path, final=final)
        at.data.pixels = ""
        result = run_metric(METRICS["elbo"], at, {}, 0, 0)
        assert result.status == "ok", result.reason
        assert images_file(tmp_path, "elbo").exists() == there
    assert per_image_values(tmp_path, "elbo") is None  # without a record they are of nothing
    write(tmp_path / "elbo.json", MetricFile(key="", results=[result]))
    values = per_image_values(tmp_path, "elbo")
    assert values is not None
    assert (values.dtype, values.shape) == (numpy.float32, (200,))
    assert values.mean() == pytest.approx(result.value, rel=1e-5)
    assert math.hypot(*result.errors.values()) == pytest.approx(result.standard_error)
    assert set(result.errors) == {"images", "draws"}
    failed = Result(metric="elbo", status="failed", reason="nan")
    write(tmp_path / "elbo.json", MetricFile(key="", results=[failed]))
    assert per_image_values(tmp_path, "elbo") is None
    assert per_image_values(tmp_path, "classifier_fid") is None


def test_damaged_or_lost_values_are_computed_again(tmp_path, capsys):
    """And whatever else: the record, its parts, and the columns of the collected table."""
    specification = SUITE.specification("vae-4-point")
    folder = tmp_path / "vae-4-point" / "seed0"
    training.train(specification, 0, "smoke", folder, root=tmp_path, device_name="cpu", code={"a": "b"})
    metrics: Any = {"elbo": {"options": {"n": 4}}}

    def compute() -> Result:
        evaluate.compute(metrics, folder, root=tmp_path, references=tmp_path / "references", device_name="cpu")
        return read(folder / "elbo.json", MetricFile).results[-1]

    first, path = compute(), images_file(folder, "elbo")
    assert first.status == "ok", first.reason
    assert first.errors.keys() == {"draws"}  # four images are all there is
    assert first.controls["independent pixels"] == pytest.approx(-math.log(4) - 3 * math.log(4 / 3))
    values = per_image_values(folder, "elbo")
    assert values is not None
    assert values.mean() == pytest.approx(first.value, rel=1e-5)
    state = path.stat().st_mtime_ns
    compute()
    assert path.stat().st_mtime_ns == state  # current: nothing to do
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], None):
        path.unlink() if content is None else path.write_bytes(content)
        assert list(faults(folder, "elbo")) == [path]
        assert per_image_values(folder, "elbo") is None
        assert compute().value == first.value
        assert (per_image_values(folder, "elbo") == values).all()
    assert "elbo.images.npz: damaged" in capsys.readouterr().err
    row = rows_of(SUITE, Job("vae-4-point", 0, specification, metrics), folder)[0]
    assert json.loads(row["errors"]) == first.errors
    assert json.loads(row["controls"]) == first.controls


def test_records_of_before_are_read(tmp_path):
    write(tmp_path / "elbo.json", MetricFile(key="k", results=[Result(metric="elbo", status="ok", value=1.0)]))
    content = json.loads((tmp_path / "elbo.json").read_text())
    del content["sha256"], content["results"][0]["errors"], content["results"][0]["controls"]
    (tmp_path / "elbo.json").write_text(json.dumps(content))
    assert read(tmp_path / "elbo.json", MetricFile).results[0].errors == {}
    with pytest.raises(ValueError, match="non-finite"):
        Result(metric="elbo", status="ok", value=1.0, errors={"images": math.nan})
