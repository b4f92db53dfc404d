"""Quick's own trainings against the same numbers computed without the suite (nats).

Slow, as it trains for about a minute: it is the one test of the whole way from YAML to a number with the right value.
"""

from pathlib import Path

import pytest
import torch

from benchmarks.config import declarations
from benchmarks.jobs import evaluate, training
from benchmarks.plan.suite import Suite
from tests.helpers.mixture_kl import recomputed
from tests.helpers.recomputed import gaussian_on_eight_schools, vae_on_digits, vae_on_four_points

SUITE = Suite("quick")
# (run, number of seeds) -> what recomputes its numbers, and how near the suite must come to each
RUNS = {
    "vae-4-point": (3, vae_on_four_points, {"elbo": 1e-4, "reconstruction_error": 1e-4, "log_likelihood": 1e-5}),
    "vb-mean-field-eight-schools": (1, gaussian_on_eight_schools, {"kl_to_posterior": 0.03, "kl_from_posterior": 0.05}),
    "vb-full-rank-eight-schools": (2, gaussian_on_eight_schools, {"kl_to_posterior": 0.03, "kl_from_posterior": 0.1}),
    "vae-grey-mnist": (1, vae_on_digits, {"rmse": 1e-4}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(run, seed) -> the trained method as metrics see it, trained once."""
    folder, found = tmp_path_factory.mktemp("quick"), {}

    def of(run, seed):
        if (run, seed) not in found:
            place = folder / "results" / run / f"seed{seed}"
            record = training.train(
                SUITE.specification(run), seed, "quick", place, root=Path("data"), device_name="cpu"
            )
            assert record.status == "ok", record.reason
            references = folder / "results" / "references"
            found[run, seed] = evaluate.open_trained(record, place, Path("data"), references, torch.device("cpu"))
        return found[run, seed]

    return of


def measured(trained, run, seed, metric, draws=None):
    """The result of a metric with the draws of `draws` (an evaluation seed; the run's seed where None)."""
    options = SUITE.metric_options(run)[metric]["options"]
    seed_of_draws = seed if draws is None else draws
    result = evaluate.run_metric(declarations.metrics()[metric], trained(run, seed), options, 0, seed_of_draws)
    assert result.status == "ok", result.reason
    return result


@pytest.mark.parametrize(("run", "seed"), [(run, seed) for run, (seeds, *_) in RUNS.items() for seed in range(seeds)])
def test_quicks_numbers_are_those_computed_without_the_suite(run, seed, trained):
    _, recompute, tolerances = RUNS[run]
    found = recompute(trained(run, seed).folder)
    for metric, tolerance in tolerances.items():
        assert measured(trained, run, seed, metric).value == pytest.approx(found[metric], abs=tolerance), metric
    if "smaller share" in found:
        shares = measured(trained, run, seed, "mode_share")
        assert shares.details["smaller share"] == pytest.approx(found["smaller share"], abs=0.02)
        assert shares.value == pytest.approx(0.0, abs=0.01)  # one mode, and one blob between the two


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
