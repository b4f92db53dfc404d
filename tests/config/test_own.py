"""A user's own method: what need not be said, its places in tables, tests against baselines, its contract."""

import json
import shutil

import numpy
import pandas
import pytest
from scipy import stats

from benchmarks.cli.main import main
from benchmarks.plan.suite import Suite
from benchmarks.report.page import environment
from benchmarks.statistics import differences
from benchmarks.store.records import Contract
from tests.helpers.documents import ROOT, copy_tree, refusal, shell

MINE = ROOT / "examples" / "mine.yml"
TABLE = "avb-table-2"
BROKEN = """from methods.vae import VAE


class Drifting(VAE):
    paper, equations = "none", "1"

    def per_example_loss(self, batch):
        with __import__("torch").no_grad():
            self.decoder.scale = getattr(self.decoder, "scale", 1.0) * 1.5  # state that no checkpoint has
        return self.decoder.scale * super().per_example_loss(batch)
"""


def runs_file(folder, text, name="mine.yml"):
    """A runs file with this content."""
    path = folder / name
    path.write_text(text)
    return path


# what need not be said


@pytest.mark.parametrize("profile", ["smoke", "quick", "laptop", "paper"])
def test_what_is_unsaid_is_taken_from_the_run_it_is_like(profile):
    suite = Suite(profile, MINE)
    mine, theirs = (suite.specification(run) for run in ("capacity-vae", "vae-mnist-8"))
    for key in ("dataset", "latent_dim", "components", "paper_steps"):
        assert mine[key] == theirs[key]
    assert mine["train"] == {**theirs["train"], "learning_rate": 1e-3}
    assert mine["options"] == {"capacity": 8.0}
    assert len(MINE.read_text().splitlines()) == 5
    assert len((ROOT / "examples" / "my_method.py").read_text().splitlines()) <= 40


def test_what_is_said_holds_in_every_profile(tmp_path):
    path = runs_file(
        tmp_path,
        "a: {method: VAE, like: avb-mnist-8, components: {encoder: mnist-gaussian-encoder},\n"
        "    train: {steps: 7, learning_rate: 0.01}, latent_dim: 3, profiles: {quick: {seeds: 2}}}\n"
        "b: {like: a, profiles: {laptop: {train: {steps: 9}}}}\n",
    )
    for profile, steps in (("quick", 7), ("laptop", 9), ("paper", 7)):
        suite = Suite(profile, path)
        found = suite.specification("b")
        assert (found["train"]["steps"], found["train"]["learning_rate"], found["latent_dim"]) == (steps, 0.01, 3)
        assert set(found["components"]) == {"encoder", "decoder"}  # a VAE has no adversary
        assert suite.seeds("b") == {"quick": 2, "laptop": 1, "paper": 3}[profile]
    assert Suite("quick", path).train_options("a")["decay_from"] == 0.5  # unsaid: the budget's


def test_what_is_said_leaves_nothing_of_the_base_to_be_ignored(tmp_path):
    path = runs_file(
        tmp_path,
        "fixed: {like: hu-aavae-10, options: {temperature: 2.0}}\n"
        "blind: {like: hu-vae-10, train: {validate_every: 0}}\n"
        "other: {like: hu-vae-10, train: {optimiser: rmsprop}}\n",
    )
    for profile in ("quick", "laptop", "paper"):
        suite = Suite(profile, path)
        assert "search" not in suite.specification("fixed")  # an option that is said is not searched
        assert suite.specification("fixed")["options"] == {"temperature": 2.0}
        assert suite.specification("blind")["train"]["patience"] == 0
        assert suite.specification("other")["train"]["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {method: VAE, like: vae-mnits-8}", "a: like: unknown run 'vae-mnits-8'; did you mean 'vae-mnist-8'?"),
        ("a: {like: b}\nb: {like: c}\nc: {like: a}", "a -> b -> c -> a is a circle"),
        ("a: {method: VAE, like: vae-mnist-8, components: {adversary: mnist-adversary}}", "unknown role 'adversary'"),
        ("a: {method: AVB, like: vae-mnist-8}", "missing component"),
        ("a: {method: VAE, like: avb-mnist-8}", "VAE needs a encoder with 'closed_kl'"),
        ("a: {method: ALI, like: avb-mnist-8, components: {}}", "none for player"),
        ("a: {method: VAE, like: vae-mnist-8, options: {capacty: 1}}", "unknown option of VAE 'capacty'"),
        ("a: {like: vae-mnist-8, train: 3}", "train is 3; expected a mapping"),
        ("a: {like: vae-mnist-8, trian: {}}", "unknown key 'trian'; did you mean 'train'?"),
        ("a: {like: [1]}", "unknown run [1]"),
        ("a: 3", "expected a mapping, found 3"),
        ("vae-mnist-8: {like: vae-mnist-32}", "the suite has a 'vae-mnist-8' already"),
        ("../up: {like: vae-mnist-8}", "name '../up'"),
        ("'a; touch b': {like: vae-mnist-8}", "expected at most 100 letters, digits"),
        ("1: {like: vae-mnist-8}", "name 1"),
        ("own: {like: vae-mnist-8}", "name 'own' is that of a folder beside those of runs; rename yours"),
        ("-x: {like: vae-mnist-8}", "beginning with a letter or a digit"),
    ],
)
def test_a_wrong_runs_file_is_one_line(tmp_path, capsys, text, message):
    line = refusal(capsys, "check", "--runs", runs_file(tmp_path, text))
    assert message in line
    assert "a" in line


def test_a_method_lies_beside_its_runs_file(tmp_path):
    shutil.copy(ROOT / "examples" / "my_method.py", tmp_path)
    path = runs_file(tmp_path, MINE.read_text())
    assert Suite("smoke", path).method_of("capacity-vae").path == tmp_path / "my_method.py"


# places in tables


def test_a_copy_of_each_table_has_the_run_where_its_data_fit():
    named = ["avb-table-1", TABLE, "unifying-table-3", "asvae-table-1-cited"]
    suite = Suite("quick", MINE, None, named)
    copies = {name: suite.tables[f"{name}-with-mine"] for name in named}
    assert [row.label for row in copies[TABLE].rows[:-1]] == [row.label for row in suite.tables[TABLE].rows]
    assert copies[TABLE].rows[-1].run == "capacity-vae"
    assert not copies[TABLE].rows[-1].skip
    assert copies["avb-table-1"].columns[-1].label == "capacity-vae"  # its columns are the runs
    assert "not run: it is on digits, the runs to compare on 4-point" in copies["avb-table-1"].rows[0].note
    shares = {row.label: "capacity-vae" in row.skip for row in copies["unifying-table-3"].rows}
    assert shares == {"1%": True, "10%": True, "100%": False}
    cells = [(run, metric) for _, _, run, metric in suite.cells(copies["asvae-table-1-cited"])]
    assert ("capacity-vae", "nll_bound") in cells
    assert suite.wanted.keys() < Suite("quick").wanted.keys() | {"capacity-vae"}


def test_compare_needs_runs_and_a_table(capsys):
    assert "no runs of your own" in refusal(capsys, "check", "--compare", TABLE)
    line = refusal(capsys, "check", "--runs", MINE, "--compare", "avb-tabel-2")
    assert "unknown table 'avb-tabel-2'; did you mean 'avb-table-2'?" in line


# tests against baselines


def frame_of(values, metric="elbo", error=0.1):
    """A collected frame: run -> values over seeds."""
    return pandas.DataFrame(
        [
            {"run": run, "seed": seed, "metric": metric, "final": True, "status": "ok", "reason": "", "value": value,
             "standard_error": error, "protocol": "p"}
            for run, series in values.items() for seed, value in enumerate(series)
        ]
    )  # fmt: skip


def column(values, metric="elbo", **more):
    """The differences of the run `own` from all others, as a column."""
    frame = frame_of(values, metric, **more)
    ours = ("Own", "own", metric)
    found = [differences.compared(frame, "t", "c", ours, (run, run, metric)) for run in values if run != "own"]
    differences.decide(found)
    return {d.baseline: d for d in found}


def test_differences_are_tested_by_welch_and_corrected_within_the_column():
    own_values = [1.0, 1.1, 0.9, 1.05, 0.95]
    near = [v - 0.4 for v in own_values]
    found = column({"own": own_values, "near": near, "far": [v - 5 + (-1) ** i * 6 for i, v in enumerate(own_values)]})
    assert found["near"].verdict == "better"
    assert found["near"].p == pytest.approx(stats.ttest_ind(own_values, near, equal_var=False).pvalue)
    assert found["near"].corrected == pytest.approx(2 * found["near"].p)
    assert found["far"].verdict == "undecided"
    assert found["near"].difference == pytest.approx(0.4)
    assert found["near"].low < 0.4 < found["near"].high
    assert column({"own": own_values, "near": near}, "rmse")["near"].verdict == "worse"
    assert column({"own": own_values, "near": near}, "sharpness")["near"].verdict == "larger"


def test_one_seed_decides_nothing():
    (found,) = column({"own": [5.0], "other": [1.0, 1.1]}).values()
    assert (found.verdict, found.seeds, found.p) == ("undecided", 1, None)
    assert "one seed decides nothing" in found.reason
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.1 * 2**0.5, rel=1e-3)
    (found,) = column({"own": [5.0], "other": [1.0]}, error=float("nan")).values()
    assert "evaluation error unknown" in found.reason
    assert found.low is None


def test_what_cannot_be_compared_says_why():
    frame = frame_of({"own": [1.0], "other": [2.0]})
    ours = ("Own", "own", "elbo")
    other = differences.compared(frame, "t", "c", ours, ("AVB", "other", "adversarial_elbo"))
    assert (other.verdict, other.reason) == ("no test", "adversarial_elbo there, elbo here")
    frame.loc[frame.run == "other", "protocol"] = "q"
    assert "protocols differ" in differences.compared(frame, "t", "c", ours, ("o", "other", "elbo")).reason
    frame.loc[frame.run == "other", ["status", "reason"]] = ["failed", "loss is nan"]
    assert differences.compared(frame, "t", "c", ours, ("o", "other", "elbo")).reason == "o failed: loss is nan"


# contract


def test_the_contract_holds_for_the_example_and_names_what_is_broken(tmp_path, capsys):
    assert main(["contract", "capacity-vae", "--runs", str(MINE), "--profile", "smoke"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert all(line.startswith("holds: ") for line in lines)
    (tmp_path / "broken.py").write_text(BROKEN.replace('paper, equations = "none", "1"', 'paper = "no" + "ne"'))
    path = runs_file(tmp_path, "drifting: {method: broken.py:Drifting, like: vae-mnist-8}")
    assert main(["contract", "drifting", "--runs", str(path), "--profile", "smoke"]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED")]
    assert ["paper is 'none'" in failed[0], "stopped and continued" in failed[-1]] == [True, True]


def test_a_methods_words_are_escaped_on_the_page():
    hostile = "<script>alert(1)</script>"
    record = Contract(run="a", status="failed", checks={"players": hostile})
    page = environment().get_template("against.html").render(contracts=[record], against={}, against_rule="")
    assert hostile not in page
    assert "&lt;script&gt;" in page


def test_a_broken_contract_is_shown_and_counted_and_stops_no_training(tmp_path):
    folder = copy_tree(tmp_path)
    (folder / "broken.py").write_text(BROKEN)
    runs_file(folder, "drifting: {method: broken.py:Drifting, like: vae-4-point}\n")
    done = shell(folder, "snakemake --cores 2 --config profile=smoke runs=mine.yml compare=avb-table-1")
    assert done.returncode != 0
    wrong = "a training that was stopped and continued ends with other weights"
    assert f"failed: drifting: contract: training is deterministic and resumes exactly: {wrong}" in done.stderr
    assert json.loads((folder / "results/smoke/drifting/seed0/run.json").read_text())["status"] == "ok"
    reports = folder / "reports" / "smoke" / "only" / "avb-table-1-with-mine"
    page = (reports / "index.html").read_text()
    assert wrong in page
    assert 'id="avb-table-1-with-mine-against"' in page
    found = pandas.read_csv(reports / "avb-table-1-with-mine-against.csv")
    assert set(found.baseline) == {"VAE", "AVB"}
    assert set(found.column) == {
        "log-likelihood",
        "reconstruction error",
        "ELBO",
        "KL(q(z)||p(z))",
        "KL(q(z)||p(z)), truth or bound",
    }
    cells = pandas.read_csv(reports / "avb-table-1-with-mine.csv").set_index(["row", "column"])
    assert cells.loc[("log-likelihood", "AVB"), "paper"] == -1.403  # the copy keeps the published values
    assert numpy.isfinite(cells.loc[("log-likelihood", "drifting"), "ours"])
