"""Claims: family-wise errors on simulated truth, spreads, natural limits, failures, chance and power."""

import json
import re

import numpy
import pandas
import pytest

from benchmarks.cli import main
from benchmarks.config import Claim, Quantity
from benchmarks.statistics import simulate
from benchmarks.statistics.claims import Outcome, bounds_of, correct, measure
from benchmarks.statistics.inference import Seeds, contrast, power, seeds_for, spread_test, within
from benchmarks.statistics.power import of_claims
from benchmarks.statistics.simulate import NOISES, claim_rate, null_accuracies, null_claims, spread_rate
from benchmarks.suite import Suite

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
