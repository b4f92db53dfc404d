"""Claims: family-wise errors on simulated truth, spreads, natural limits, failures, chance and power."""

import json
import re

import numpy
import pandas
import pytest

from benchmarks.cli.main import main
from benchmarks.config.models import Claim, Quantity
from benchmarks.plan.suite import Suite
from benchmarks.statistics import simulate
from benchmarks.statistics.claims import Outcome, bounds_of, correct, measure
from benchmarks.statistics.inference import Seeds, contrast, power, seeds_for, spread_test, within
from benchmarks.statistics.power import of_claims
from benchmarks.statistics.simulate import NOISES, claim_rate, null_accuracies, null_claims, spread_rate

TABLES = 200


def allowed(share=0.05, tables=TABLES):
    return share + 3 * (share * (1 - share) / tables) ** 0.5


# --- errors under no effect


@pytest.mark.parametrize("correlation", [0.0, 0.8])
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("kind", NOISES)
def test_a_table_of_null_claims_seldom_has_a_verdict(kind, seeds, correlation):
    random = numpy.random.default_rng(seeds)
    pair = correlation > 0 and kind == "Gauss"
    assert claim_rate(lambda: null_claims(kind, 6, seeds, correlation, random), TABLES, pair) <= allowed()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_accuracies_on_few_images_seldom_give_a_false_verdict(seeds):
    random = numpy.random.default_rng(seeds)
    assert claim_rate(lambda: null_accuracies(10, seeds, random), TABLES) <= allowed()


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("kind", NOISES)
def test_equal_spreads_are_seldom_told_apart(kind, seeds):
    assert spread_rate(kind, seeds, 500, numpy.random.default_rng(seeds)) <= allowed(0.06, 500)


def test_a_spread_that_is_ten_times_as_large_is_found():
    random = numpy.random.default_rng(0)
    wide, narrow = Seeds.of(10 * random.standard_normal(10)), Seeds.of(random.standard_normal(10))
    assert spread_test(wide, narrow)[0] < 0.05
    assert spread_test(narrow, wide)[1] < 0.05


def test_without_spread_or_step_nothing_is_certain():
    equal = Seeds.of([1.0, 1.0, 1.0])
    assert isinstance(contrast(equal, Seeds.of([2.0, 2.0, 2.0])), str)
    stepped = contrast(Seeds.of([97.0, 97.0], 0.28), Seeds.of([97.3, 97.3], 0.28))
    assert not isinstance(stepped, str)
    assert min(within(stepped, 0.0, numpy.inf)) > 0.05


@pytest.mark.parametrize("value", [0.1, -90.9, 0.7, -1.403, 97.68, 8.34])
def test_equal_seeds_decide_nothing_whatever_their_rounding(value):
    for seeds in (3, 6, 10):
        equal, near = Seeds.of([value] * seeds), Seeds.of([value, *[value * (1 + 1e-9)] * (seeds - 1)])
        for one in (equal, near):
            assert isinstance(contrast(one, Seeds.of([value + 1.0] * seeds)), str)


def test_what_vanishes_by_construction_need_not_vary():
    found = contrast(Seeds.of([0.4, 0.5, 0.45]), Seeds.of([0.0, 0.0, 0.0]))
    assert not isinstance(found, str)
    assert found.error == pytest.approx(0.05 / 3**0.5)


@pytest.mark.parametrize(
    "others", [[97.0] * 5 + [97.0 + 100 / 360] * 5, [97.0, 97.0, 97.28, 97.28], [97.28] * 3, [96.72, 97.0, 97.28]]
)
def test_spreads_below_a_step_are_equal(others):
    step = 100 / 360
    assert min(spread_test(Seeds.of([97.0] * 10, step), Seeds.of(others, step))) > 0.2


def test_a_spread_beyond_the_step_is_found():
    wide, narrow = Seeds.of([90.0, 97.0, 94.0, 99.0, 88.0, 96.0, 91.0, 99.5], 0.28), Seeds.of([97.0] * 8, 0.28)
    assert spread_test(wide, narrow)[0] < 0.01
    assert spread_test(narrow, wide)[1] < 0.01


# --- the test itself


def test_unpaired_seeds_are_compared_by_welch_s_test():
    from scipy import stats

    random = numpy.random.default_rng(3)
    a, b = random.normal(0.3, 1.0, 5), random.normal(0.0, 3.0, 8)
    found = contrast(Seeds.of(a), Seeds.of(b))
    assert not isinstance(found, str)
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert min(within(found, 0.0, numpy.inf)) == pytest.approx(welch.pvalue)
    assert found.interval == pytest.approx(tuple(welch.confidence_interval()))


def test_pairs_are_compared_by_their_differences():
    from scipy import stats

    random = numpy.random.default_rng(4)
    shared = 10 * random.standard_normal(5)
    a, b = shared + random.normal(1.0, 0.1, 5), shared + random.normal(0.0, 0.1, 5)
    found = contrast(Seeds.of(a), Seeds.of(b), pair=True)
    assert not isinstance(found, str)
    assert min(within(found, 0.0, numpy.inf)) == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_differences_on_the_same_images_are_paired_by_image():
    random = numpy.random.default_rng(5)
    images = 25 * random.standard_normal(400)
    seeds = pandas.Series([1.0, 1.1, 0.9])

    def run(shift):
        values = seeds + shift
        return Seeds(values, values, values, images=images + shift, images_error=25 / 20)

    found = contrast(run(0.5), run(0.0))
    assert not isinstance(found, str)
    assert found.half_width < 0.3  # of independent images it would be 3.5
    alone = contrast(run(0.5))
    assert not isinstance(alone, str)
    assert alone.half_width > 2.4


def test_power_agrees_with_simulation_and_gives_the_seeds_it_needs():
    random = numpy.random.default_rng(6)
    found = [
        contrast(Seeds.of(1.5 + random.standard_normal(5)), Seeds.of(random.standard_normal(5))) for _ in range(2000)
    ]
    simulated = numpy.mean([min(within(one, 0.0, numpy.inf)) < 0.05 for one in found if not isinstance(one, str)])
    assert power(1.5, (1.0, 1.0), 5) == pytest.approx(simulated, abs=0.035)
    assert power(0.11, (0.03, 0.04), 3, 0.05 / 3) == pytest.approx(0.3754, abs=0.01)  # of 20,000 simulated
    assert power(0.11, (0.03, 0.04), 5, 0.05 / 3) == pytest.approx(0.9144, abs=0.01)
    wanted = seeds_for(0.11, (0.03, 0.04), 0.05 / 3, 0.8, 100)
    assert wanted is not None
    assert power(0.11, (0.03, 0.04), wanted, 0.05 / 3) >= 0.8 > power(0.11, (0.03, 0.04), wanted - 1, 0.05 / 3)


@pytest.mark.parametrize("half", [1.5, 2.0, 3.0])
def test_power_of_an_interval_is_that_of_both_of_its_ends(half):
    random = numpy.random.default_rng(7)
    found = [contrast(Seeds.of(random.standard_normal(5))) for _ in range(4000)]
    inside = numpy.mean([within(one, -half, half)[0] < 0.05 for one in found if not isinstance(one, str)])
    assert power(half, (1.0, None), 5, other=half) == pytest.approx(inside, abs=0.03)


# --- claims on a table of results


def frame(values, metric="elbo", **columns):
    """Run -> values by seed (None: the training diverged), as a table of results."""
    rows = []
    for run, of_run in values.items():
        for seed, value in enumerate(of_run):
            status = "failed" if value is None else "ok"
            rows.append(
                {
                    "run": run, "seed": seed, "metric": metric, "final": True, "status": status, "value": value,
                    "reason": "" if value is not None else "NonFiniteLossError: inf", "diverged": value is None,
                    "standard_error": 0.0, "details": "{}", "n": 100, "profile": "nowhere", "protocol": "p",
                    **{name: column[run] if isinstance(column, dict) else column for name, column in columns.items()},
                }
            )  # fmt: skip
    return pandas.DataFrame(rows)


def claim(metric="elbo", **keys):
    if not keys.get("value"):
        statistic = keys.pop("statistic", "mean")
        keys |= {
            side: Quantity(run=run, metric=metric, statistic=statistic)
            for side, run in (("greater", "a"), ("than", "b"))
        }
    return Claim(paper="P", source="s", family="f", sentence="a above b", **keys)


def decided(claim, table):
    outcome = measure("c", claim, table)
    correct([outcome])
    return outcome


def test_claims_are_decided_in_both_directions():
    table = frame({"a": [1.0, 1.1, 0.9], "b": [0.0, 0.1, -0.1]})
    assert decided(claim(), table).verdict == "supported"
    assert decided(claim(by=5.0), table).verdict == "contradicted"
    assert decided(claim(), frame({"a": [1.0], "b": [0.0]})).reason == "one seed"


def test_every_seed_of_unequal_numbers_counts():
    table = frame({"a": [1.0, 1.1, 0.9, 1.0, 1.05], "b": [0.9, 1.1]})
    assert measure("c", claim(), table).effect == pytest.approx(1.01 - 1.0)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([0.0, 0.0007, 0.0002], "supported"), ([0.02, 0.03, 0.025], "supported"), ([0.45, 0.46, 0.47], "contradicted")],
)
def test_a_bound_at_a_natural_limit_is_no_bound(values, verdict):
    value = Quantity(run="a", metric="mode_share")
    assert (
        decided(claim(value=value, between=(0.0, 0.3), limits=(0.0, 0.5)), frame({"a": values}, "mode_share")).verdict
        == verdict
    )


def test_natural_limits_are_those_of_the_metric():
    value = Quantity(run="a", metric="aggregated_kl")
    assert bounds_of(claim(value=value, between=(-0.1, 0.1))) == (-numpy.inf, 0.1)
    assert bounds_of(claim(value=value, between=(0.05, 0.1))) == (0.05, 0.1)
    assert bounds_of(claim(between=(-0.08, 0.08))) == (-0.08, 0.08)


def test_diverged_trainings_are_observations_of_stability():
    stable, survivors = [0.0, 0.1, -0.1, 0.05, -0.05] * 2, [0.01, None, -0.01, None, 0.02, None, 0.0, None, None, None]
    outcome = decided(claim(statistic="sd over seeds"), frame({"a": survivors, "b": stable}))
    assert outcome.verdict == "supported"
    assert "diverged: 6 of 10 of a, 0 of 10 of b" in outcome.beside
    two = decided(
        claim(statistic="sd over seeds"), frame({"a": [0.01, None, None, 0.0, 0.02], "b": [0.3, -0.3, 0.0, 0.2, -0.1]})
    )
    assert two.verdict != "contradicted"


def test_a_mean_of_survivors_decides_nothing():
    outcome = decided(claim(), frame({"a": [5.0, 5.1, None], "b": [0.0, 0.1, 0.2]}))
    assert (outcome.verdict, outcome.reason) == ("undecided", "a: 1 of 3 trainings diverged")


def test_trainings_that_all_diverged_are_no_missing_run():
    outcome = decided(claim(), frame({"a": [None, None], "b": [0.0, 0.1]}))
    assert (outcome.verdict, outcome.reason) == ("undecided", "a: 2 of 2 trainings diverged")
    outcome = decided(claim(), frame({"a": [1.0, None], "b": [0.0, 0.1]}))
    assert outcome.reason == "a: 1 of 2 trainings diverged"


def test_values_at_chance_level_decide_nothing():
    controls = json.dumps({"mean image": 7.27, "another test image": 10.09})
    table = frame({"a": [9.6, 9.7, 9.65], "b": [8.8, 8.7, 8.75]}, "rmse", controls=controls)
    outcome = decided(claim("rmse"), table)
    assert outcome.verdict == "undecided"
    assert outcome.reason.startswith("at chance: 9.65, where mean image gives 7.27")
    one = frame({"a": [9.6, 9.7, 9.65], "b": [4.8, 4.7, 4.75]}, "rmse", controls=controls)
    assert decided(claim("rmse"), one).verdict == "supported"


def at_controls(values, metric, control=-200.0, name="independent pixels"):
    return frame(values, metric, controls=json.dumps({name: control}))


def test_chance_holds_for_every_form_of_a_claim():
    below = {"a": [-300.0, -301.0, -302.0], "b": [-400.0, -402.0, -405.0]}
    above = {"a": [-90.0, -91.0, -92.0], "b": [-100.0, -101.0, -102.0]}
    for metric in ("elbo", "adversarial_elbo"):
        assert decided(claim(metric), at_controls(below, metric)).reason.startswith("at chance")
        assert decided(claim(metric), at_controls(above, metric)).verdict == "supported"
    between = claim(value=Quantity(run="a", metric="elbo"), between=(-310.0, -290.0))
    assert decided(between, at_controls(below, "elbo")).reason.startswith("at chance")
    spread = {"a": [-300.0, -340.0, -260.0, -290.0], "b": [-300.0, -300.1, -299.9, -300.2]}
    assert decided(claim(statistic="sd over seeds"), at_controls(spread, "elbo")).reason.startswith("at chance")
    four = below | {"c": [-500.0, -502.0, -505.0], "d": [-900.0, -901.0, -902.0]}
    pairs = {
        "greater": Quantity(run="c", minus="d", metric="elbo"),
        "than": Quantity(run="a", minus="b", metric="elbo"),
    }
    of_pairs = Claim(paper="P", source="s", family="f", sentence="x", **pairs)
    assert decided(of_pairs, at_controls(four, "elbo")).reason.startswith("at chance")


def test_sharpness_of_noise_supports_nothing():
    """Noise of the right contrast is as sharp as data: its samples have to resemble data, too."""
    keys = {"greater": "b", "than": "a"}
    sharper = Claim(
        paper="P", source="s", family="f", sentence="a is sharper",
        **{side: Quantity(run=run, metric="sharpness", detail="distance from 1") for side, run in keys.items()},
    )  # fmt: skip
    details = {"a": json.dumps({"distance from 1": 0.03}), "b": json.dumps({"distance from 1": 0.5})}
    sharpness = frame({"a": [1.0, 1.01, 1.02], "b": [0.6, 0.61, 0.62]}, "sharpness", details=details)
    sharpness["details"] = [json.dumps({"distance from 1": abs(numpy.log(value))}) for value in sharpness.value]
    like = at_controls({"a": [3.0, 3.1, 3.2], "b": [9.0, 9.1, 9.2]}, "classifier_fid", 200.0, "noise")
    noise = at_controls({"a": [300.0, 310.0, 320.0], "b": [9.0, 9.1, 9.2]}, "classifier_fid", 200.0, "noise")
    assert decided(sharper, pandas.concat([sharpness, like])).verdict == "supported"
    outcome = decided(sharper, pandas.concat([sharpness, noise]))
    assert outcome.verdict == "undecided"
    assert outcome.reason.startswith("at chance: classifier_fid of a is 310, where noise gives 200")


def test_claims_on_sharpness_come_with_the_metric_that_guards_them():
    suite = Suite("quick")
    for name, of_suite in suite.claims.items():
        for quantity in of_suite.quantities():
            if quantity.metric == "sharpness" and suite.serves(quantity.run, "classifier_fid"):
                assert "classifier_fid" in suite.wanted[quantity.run], name


def test_a_detail_that_is_a_share_moves_in_steps_and_has_its_image_error():
    one_mode = frame({"a": [0.0] * 5}, "mode_share", n=10_000)
    one_mode["details"] = json.dumps({"smaller share": 0.0})
    value = Quantity(run="a", metric="mode_share", detail="smaller share")
    assert decided(claim(value=value, between=(0.0, 0.1), limits=(0.0, 0.5)), one_mode).verdict == "supported"
    table = frame({"a": [1.0, 1.1, 0.9], "b": [0.0, 0.1, -0.1]}, "posterior_kl", errors=json.dumps({"images": 5.0}))
    table["details"] = [json.dumps({"ELBO": -value}) for value in table.value]
    sides = {"greater": "b", "than": "a"}
    of_details = Claim(
        paper="P", source="s", family="f", sentence="x",
        **{side: Quantity(run=run, metric="posterior_kl", detail="ELBO") for side, run in sides.items()},
    )  # fmt: skip
    assert decided(of_details, table).verdict == "undecided"


def test_an_interval_of_all_values_tests_nothing():
    value = Quantity(run="a", metric="accuracy")
    outcome = decided(claim(value=value, between=(0.0, 100.0)), frame({"a": [50.0, 60.0, 55.0]}, "accuracy"))
    assert (outcome.verdict, outcome.reason) == (
        "undecided",
        "both bounds are natural limits of the quantity: there is nothing to test",
    )


def test_claims_are_corrected_within_their_family_only():
    def outcome(family, p):
        return Outcome("c", claim().model_copy(update={"family": family}), p_for=p, p_against=1.0)

    outcomes = [outcome("table 1", 0.03), outcome("table 1", 0.9), outcome("table 2", 0.03)]
    correct(outcomes)
    assert [o.corrected for o in outcomes] == [0.06, 0.9, 0.03]
    assert [o.verdict for o in outcomes] == ["undecided", "undecided", "supported"]


def test_an_untested_sentence_says_why():
    outcome = measure(
        "c", Claim(paper="P", source="s", family="f", sentence="x", untested="needs CelebA"), frame({"a": [1.0]})
    )
    assert (outcome.verdict, outcome.reason) == ("untested", "needs CelebA")


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"greater": {"run": "a", "metric": "elbo"}},
        {"value": {"run": "a", "metric": "elbo"}},
        {"untested": "why", "value": {"run": "a", "metric": "elbo"}, "between": [0, 1]},
    ],
)
def test_a_claim_of_no_or_two_forms_is_refused(keys):
    with pytest.raises(ValueError, match=r"expected|between|untested"):
        Claim(paper="P", source="s", family="f", sentence="x", **keys)


# --- the suite's own claims


def test_seeds_of_claims_are_those_that_their_power_asks_for():
    suite = Suite("paper")
    found = of_claims(suite)
    for name, of in found.items():
        assert suite.claims[name].seeds == (of.wanted or 0 if of.power is not None else 0), name
    assert found["iwgan-improves-mnist"].power >= 0.8
    assert suite.seeds("iwgan-mnist") >= 5
    assert suite.seeds("hu-svae-1") >= 5  # table 4 is over five runs
    assert max(suite.seeds(run) for run in suite.wanted) == suite.profile.claim_seeds


def test_a_difference_of_differences_has_the_spread_of_four_runs():
    found = of_claims(Suite("paper"))["aavae-improves-more-with-less-data"]
    assert found.spreads == pytest.approx((0.41 * 2**0.5, 0.41 * 2**0.5))


def test_our_own_seeds_say_how_values_spread_where_nothing_else_does():
    suite = Suite("paper")
    name = next(n for n, of in of_claims(suite).items() if of.reason == "no spread over seeds is known")
    runs = {run: [0.0, 0.1, -0.1] for quantity in suite.claims[name].quantities() for run in quantity.runs()}
    table = frame(runs, suite.claims[name].quantities()[0].metric)
    found = of_claims(suite, table)[name]
    assert found.spreads == pytest.approx((0.1, 0.1))
    assert found.power is not None


def test_plan_says_the_power_of_every_claim(capsys):
    assert main(["plan", "--profile", "paper", "--claims"]) == 0
    text = capsys.readouterr().out
    tested = [name for name, claim in Suite("paper").claims.items() if not claim.untested]
    for name in tested:
        assert f"claim {name}: " in text
    assert re.search(r"claim iwgan-improves-mnist: power \d+% with \d+ seeds, 5 seeds for 80% \(effect 0.11", text)


def test_every_sentence_has_a_family_and_a_measure_or_a_reason():
    for name, of_suite in Suite("paper").claims.items():
        assert of_suite.family, name
        assert bool(of_suite.quantities()) != bool(of_suite.untested), name


def test_the_simulation_rewrites_its_page_and_picture(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "verdicts.md"
    page.write_text(f"before\n{simulate.START}\nold\n{simulate.END}\nafter\n")
    monkeypatch.setattr(simulate, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["simulate", "--cells", "2"])
    simulate.main()
    text = page.read_text()
    assert text.startswith(f"before\n{simulate.START}\n| trainings vary as")
    assert text.endswith(f"{simulate.END}\nafter\n")
    assert "old" not in text
    assert (tmp_path / "docs" / "verdicts.svg").stat().st_size > 10_000
    assert "| Gauss | 3 |" in capsys.readouterr().out
