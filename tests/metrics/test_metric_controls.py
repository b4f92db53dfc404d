"""Every metric ranks a good control above a bad one and has a value in closed form; a new one without them fails."""

import math

import pytest
import torch

from benchmarks.config import declarations
from benchmarks.metrics.trained import Estimate
from tests.helpers import controls_unifying as _more_controls  # noqa: F401
from tests.helpers.controls import COIN, CONTROLS, digits
from tests.helpers.documents import is_a_test
from tests.helpers.linear_gaussian import LATENT, NOISE, Linear, Posterior, simulated
from tests.metrics.test_formulated_metrics import nearest_source_image
from tests.statistics.test_claims_avb import VARIANCE, to_prior

METRICS = declarations.metrics()
LOG_P = float(Linear().log_p(simulated()).mean())
POSTERIOR = Posterior()(simulated())
SQUARES = (simulated() - Linear().mean(POSTERIOR.mean)).square().flatten(1).sum(1) + POSTERIOR.variance.sum(1)
RECONSTRUCTION = float(SQUARES.mean() / (8 * NOISE**2) + math.log(NOISE * math.sqrt(2 * math.pi)))
PAIR = digits("digits-pair")
BLACK = int(nearest_source_image(PAIR)(torch.zeros(1, 1, 8, 8))[1].argmax())
SHARP = 4 * math.log(256)  # from a density to the mass of levels, four pixels
# metric -> (the good control's value, the bad one's, tolerance) in closed form; None: not known
GOLDEN = {
    "elbo": (LOG_P, None, 1e-3),  # the exact posterior's weights are p(x), every one
    "importance_bound": (LOG_P, None, 1e-3),
    "labelled_elbo": (LOG_P, None, 1e-3),
    "ais": (LOG_P, None, 0.02),
    "log_likelihood": (LOG_P, None, 1e-3),
    "nll_bound": (SHARP - LOG_P, None, 1e-2),
    "bits_bound": ((SHARP - LOG_P) / (4 * math.log(2)), None, 1e-2),
    "reconstruction_error": (RECONSTRUCTION, None, 0.01),
    "adversarial_elbo": (0, 5, 1e-4),
    "bdmc_gap": (0, None, 0.02),
    "aggregated_kl": (0, LATENT / 2, 0.1),
    "kl_to_posterior": (0, LATENT / 2, 0.1),
    "aggregated_kl_knn": (0, LATENT / 2, 0.1),
    "kl_to_posterior_knn": (0, LATENT / 2, 0.1),
    "kl_from_posterior_knn": (0, LATENT / 2, 0.1),
    "kl_from_posterior": (0, LATENT / 2, 0.02),
    "kl_exact": (0, LATENT / 2, 0.02),
    "posterior_kl": (0, LATENT * 0.5**2 / (2 * VARIANCE), 1e-3),
    "code_spread": (VARIANCE**0.5, 1, 0.02),
    "contrast_kl": (0, to_prior(simulated()), 0.05),
    "information_error": (0, 0.7, 1e-3),
    "mode_share": (0, -0.5, 0.02),
    "posterior_draws": (0, 1, 0),
    "latent_codes": (0, 9, 0.2),
    "sample_grid": (0, None, 0),
    "accuracy": (None, 100 * float((digits().test_y == 3).float().mean()), 1e-4),
    "source_accuracy": (None, 100 * float((PAIR.test_y == 3).float().mean()), 1e-4),
    "translation_accuracy": (None, 100 * float((PAIR.test_y == BLACK).float().mean()), 1e-4),
    "cycle_error": (None, float(PAIR.test_x.mean() + PAIR.source_test_x.mean()) / 2, 1e-5),
    "code_accuracy": (100, 25, 2),
    "unit_predictability": (0, 1, 0.05),
    "nll_exact": (None, COIN, 1e-3),
    "bits_exact": (None, 1, 1e-5),
    "epoch_cost": (1, 100, 1e-9),
    "sampling_speed": (None, 0.05 / 64, 4e-4),
    "conditional_accuracy": (1, None, 0),  # training images, judged by the nearest one
    "sharpness": (1, None, 0.2),
    "sample_audit": (0, 0.5, 0.12),
    "real_score": (None, 1, 0.01),
    "domain_accuracy": (50, 100, 5),
    "weight_of_hard_images": (0, -2, 1e-6),
}
# metric -> a test elsewhere that has its closed form or its original's value
ELSEWHERE = {
    "classifier_fid": "test_scores.test_frechet_distance_of_gaussians_in_closed_form",
    "fid": "test_scores.test_features_and_fid_are_pytorch_fids",
    "classifier_kid": "test_kernel_distance.test_unbiased_and_with_an_error_that_is_the_spread",
    "kid": "test_kernel_distance.test_unbiased_and_with_an_error_that_is_the_spread",
    "classifier_score": "test_scores.test_inception_score_of_known_tables",
    "inception_score": "test_scores.test_inception_score_of_known_tables",
    "rmse": "test_scores.test_sharpness_and_rmse_rank_their_controls",
    "class_coverage": "test_claims_unifying.test_coverage_of_known_classes",
    "inception_coverage": "test_claims_unifying.test_inceptions_coverage_is_the_same_by_another_judge",
    "weighting_cost": "test_claims_unifying.test_the_cost_of_weights_is_that_of_their_evaluation",
}


def value(found) -> float:
    """Of an estimate, or the number itself."""
    return float(getattr(found, "value", found))


@pytest.mark.parametrize("name", METRICS)
def test_controls_are_ranked_and_golden_values_met(name, tmp_path):
    torch.manual_seed(0)
    found = CONTROLS[name](tmp_path)
    for one in found:  # every estimate has its error, or its metric says why it has none
        if isinstance(one, Estimate):
            assert (one.standard_error is None) == ("no_error" in METRICS[name].literals)
    good, bad = map(value, found)
    better = METRICS[name].literals["better"]
    if name == "sharpness":  # its ideal is 1; of the other metrics without a direction the controls give the error
        assert abs(good - 1) < abs(bad - 1)
    else:
        order = {"higher": good > bad, "lower": good < bad, "neither": abs(good) < abs(bad)}
        assert order[better], (good, bad)
    wanted = GOLDEN.get(name, (None, None, 0))
    for found, exact in ((good, wanted[0]), (bad, wanted[1])):
        assert exact is None or abs(found - exact) <= wanted[2], (found, exact)


def test_every_metric_has_a_golden_value_a_bias_and_a_direction():
    assert set(CONTROLS) == set(METRICS)
    for name, declared in METRICS.items():
        says = declared.literals
        assert says["better"] in ("higher", "lower", "neither"), name
        assert says["kind"] in ("exact", "lower bound", "upper bound", "estimate"), name
        assert isinstance(says.get("bias"), str) or "artefact" in says, name
        assert isinstance(says.get("error"), str) != isinstance(says.get("no_error"), str), name
        assert isinstance(says.get("images"), str) == ("problem" not in says["needs"]), name
        assert any(v is not None for v in GOLDEN.get(name, (None, None))[:2]) or name in ELSEWHERE, name


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_what_is_referred_to_is_there(test):
    assert is_a_test(test)


def test_the_data_of_the_controls_are_apart():
    held_out = {x.numpy().tobytes() for x in digits().validation_x}
    training = {(x.float() / 255).numpy().tobytes() for x in digits().train.pixels}
    assert len(held_out & training) <= 2
