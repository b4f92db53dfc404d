"""Quick's own trainings against values that were computed outside the suite (nats).

Slow, as it trains for about a minute: it is the one test of the whole way from YAML to a number with the right value.
"""

from pathlib import Path

import pytest
import torch
from mixture_kl import recomputed

from benchmarks import catalogue
from benchmarks.jobs import evaluate, execute
from benchmarks.suite import Suite

SUITE = Suite("quick")
# run -> metric -> the value of each seed, and how near the suite must come
KNOWN = {
    "vae-4-point": {
        "elbo": ([-1.69746, -1.69747, -1.69740], 1e-4),
        "reconstruction_error": ([0.08734, 0.08658, 0.08841], 1e-4),
        "log_likelihood": ([-1.56931, -1.56881, -1.56938], 1e-5),
    },
    "vb-mean-field-eight-schools": {"kl_to_posterior": ([1.583], 0.03), "kl_from_posterior": ([18.54], 0.05)},
    "vb-full-rank-eight-schools": {
        "kl_to_posterior": ([1.180, 1.549], 0.03),
        "kl_from_posterior": ([23.07, 4.39], 0.1),
        "mode_share": ([0.0, 0.0], 0.01),  # one mode, and one blob between the two
    },
    "vae-grey-mnist": {"rmse": ([1.33801], 1e-4)},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(run, seed) -> the trained method as metrics see it, trained once."""
    folder, found = tmp_path_factory.mktemp("quick"), {}

    def of(run, seed):
        if (run, seed) not in found:
            place = folder / "results" / run / f"seed{seed}"
            record = execute.train(SUITE.specification(run), seed, "quick", place, root=Path("data"), device_name="cpu")
            assert record.status == "ok", record.reason
            references = folder / "results" / "references"
            found[run, seed] = evaluate.open_trained(record, place, Path("data"), references, torch.device("cpu"))
        return found[run, seed]

    return of


def measured(trained, run, seed, metric, draws=None):
    """The result of a metric with the draws of `draws` (an evaluation seed; the run's seed where None)."""
    options = SUITE.metric_options(run)[metric]["options"]
    seed_of_draws = seed if draws is None else draws
    result = evaluate.run_metric(catalogue.metrics()[metric], trained(run, seed), options, 0, seed_of_draws)
    assert result.status == "ok", result.reason
    return result


@pytest.mark.parametrize(("run", "metric"), [(run, metric) for run, metrics in KNOWN.items() for metric in metrics])
def test_quicks_numbers_are_those_computed_elsewhere(run, metric, trained):
    values, tolerance = KNOWN[run][metric]
    for seed, value in enumerate(values):
        assert measured(trained, run, seed, metric).value == pytest.approx(value, abs=tolerance)


@pytest.mark.parametrize("run", ["vae-4-point", "vae-grey-mnist"])
def test_mixtures_are_those_of_a_separate_script(run, trained):
    ours = measured(trained, run, 0, "aggregated_kl")
    value, error = recomputed(trained(run, 0).folder)
    assert abs(ours.value - value) < 2 * (error**2 + ours.standard_error**2) ** 0.5


@pytest.mark.parametrize(
    ("metric", "spread"), [("elbo", 2.2e-4), ("reconstruction_error", 1e-3), ("aggregated_kl", 1.7e-3)]
)
def test_the_noise_of_the_evaluation_is_below_a_tenth_of_the_spread_over_seeds(metric, spread, trained):
    values = [measured(trained, "vae-4-point", 0, metric, draws).value for draws in (1, 2, 3)]
    assert max(values) - min(values) < 0.1 * spread
