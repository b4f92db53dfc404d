"""What an edit makes stale: exactly the trainings, metrics and references that use what was edited."""

import shutil
from pathlib import Path

import pytest

from benchmarks.config import declarations, models
from benchmarks.config.declarations import ROOT
from benchmarks.plan import fingerprint
from benchmarks.plan.definitions import texts
from benchmarks.plan.suite import Suite
from benchmarks.store import content
from benchmarks.store.metric_files import key_of
from benchmarks.store.records import RunRecord, write
from methods.networks.build import class_named

PROBLEMS = ("eight-schools", "rosenbrock", "torus")


def state(runs: Path | None = None):
    """(run -> what its training depends on, (run, metric) -> what it depends on, reference -> what it depends on)."""
    fingerprint.forget()
    suite = Suite("quick", runs)
    trainings = {run: (suite.specification(run), suite.code(run), suite.data(run)) for run in suite.wanted}
    metrics = {(run, m): entry for run in suite.wanted for m, entry in suite.metric_options(run).items()}
    return trainings, metrics, {problem: suite.reference_code(problem) for problem in PROBLEMS}


@pytest.fixture(scope="module")
def before():
    return state()


@pytest.fixture
def after(monkeypatch):
    """The state after some files of the project read otherwise: after({path: (old, new)})."""

    def edited(edits, runs=None):
        read = {ROOT / path: (ROOT / path).read_text(encoding="utf-8") for path in edits}
        for path, (old, new) in edits.items():
            assert read[ROOT / path].count(old) >= 1, (path, old)
            read[ROOT / path] = read[ROOT / path].replace(old, new, 1)
        real = declarations.source
        monkeypatch.setattr(declarations, "source", lambda path: read.get(path) or real(path))
        return state(runs)

    yield edited
    monkeypatch.undo()
    fingerprint.forget()


def differing(before, now):
    """Names whose entry is another one now, for trainings, metrics and references."""
    return tuple({name for name in a if a[name] != b.get(name)} for a, b in zip(before, now, strict=True))


def runs_where(condition):
    """The runs of quick whose specification and data set definition satisfy a condition on their texts."""
    suite = Suite("quick")
    return {
        run
        for run in suite.wanted
        if condition(texts(suite.specification(run)) | texts(suite.dataset_of(run)[1].model_dump()))
    }


def using(*classes):
    """The runs with one of these classes as method or component."""
    return runs_where(lambda words: any(word.rpartition(":")[2] in classes for word in words))


NOTHING = {
    "a comment": {"methods/avb.py": ("class AVB(", "# a comment\nclass AVB(")},
    "a docstring": {"methods/training/game.py": ('"""', '"""Other words. ')},
    "an error message": {"methods/networks/bodies.py": ("is unknown; accepted: ", "is not known; expected one of ")},
    "the message of an absent data set": {"benchmarks/data/datasets.py": ("its download failed (", "no download (")},
    "a word of a progress line": {"methods/training/progress.py": ("images/s", "images a second")},
    "a printed word": {"benchmarks/jobs/search.py": ("set aside as", "kept as")},
    "a new class beside others": {
        "methods/networks/encoders.py": ("class PointEncoder", "class New: pass\nclass PointEncoder")
    },
    "a new function beside others": {"methods/terms.py": ("\n\n\ndef ", "\n\n\ndef new(x): return 2\ndef ")},
    "a new source of data": {
        "benchmarks/data/sources.py": ("SOURCES: dict", "def new(definition, root): ...\nSOURCES: dict")
    },
    "a new entry among the sources": {
        "benchmarks/data/sources.py": ('"digits": digits,', '"digits": digits, "new": svhn,')
    },
    "an unused function": {"benchmarks/data/sources.py": ("CELEBA_CROP = 140", "CELEBA_CROP = 141")},
    "an annotation": {"methods/training/seeds.py": ("seed: int", "seed: 'int'")},
    "what a metric says of its bias": {"benchmarks/metrics/sharpness.py": ('BIAS = "none', 'BIAS = "some')},
    "what a method says of itself": {"methods/avb.py": ('    paper = "', '    paper = "the ')},
    "a new key of tables": {
        "benchmarks/config/models.py": ('    copy_of: str = ""', '    new: str = ""\n    copy_of: str = ""')
    },
    "a renamed method of the plan": {"benchmarks/plan/suite.py": ("def report_options", "def options_of_reports")},
    "how a table is rendered": {"benchmarks/report/tables.py": ('"| | "', '"||"')},
    "the lease of a GPU": {"benchmarks/hardware/gpu_lease.py": ("import", "import signal\nimport")},
}  # fmt: skip


@pytest.mark.parametrize("edit", NOTHING)
def test_what_no_number_depends_on_makes_nothing_stale(edit, before, after):
    assert differing(before, after(NOTHING[edit])) == (set(), set(), set())


EDITS = {
    "an activation": (
        {"methods/networks/bodies.py": ('"lrelu": lambda: nn.LeakyReLU(0.2)', '"lrelu": lambda: nn.LeakyReLU(0.3)')},
        lambda: runs_where(lambda words: "lrelu" in words),
    ),
    "a rule of dequantisation": (
        {"methods/training/minibatches.py": (".add_(v).div_(256)", ".add_(v).div_(255)")},
        lambda: runs_where(lambda words: "levels" in words),
    ),
    "a method": ({"methods/cyclegan.py": ("square()", "abs()")}, lambda: using("CycleGAN")),
    "a default of a constructor": (
        {
            "methods/networks/encoders.py": (
                "noise_dim: int,\n        activation: str =",
                "noise_dim: int,\n        activation: str = 0 or",
            )
        },
        lambda: using("NoiseMLP"),
    ),
    "the seeds": ({"methods/training/seeds.py": ('"big"', '"little"')}, lambda: set(Suite("quick").wanted)),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_makes_exactly_the_trainings_stale_that_use_it(edit, before, after):
    edits, expected = EDITS[edit]
    trainings, _, _ = differing(before, after(edits))
    assert trainings == expected()
    assert trainings


def test_seeds_concern_everything(before, after):
    trainings, metrics, references = differing(before, after({"methods/training/seeds.py": ('"big"', '"little"')}))
    assert (trainings, metrics, references) == tuple(map(set, before))


def test_an_evaluation_seed_concerns_all_metrics_and_nothing_else(before, after):
    now = after({"benchmarks/jobs/evaluate.py": ('f"evaluation/{metric}"', 'f"evaluation2/{metric}"')})
    assert differing(before, now) == (set(), set(before[1]), set())


def test_an_estimator_concerns_the_metrics_that_use_it(before, after):
    now = after({"benchmarks/metrics/estimators/knn.py": ("def knn_terms", "UNUSED = 1\n\n\ndef knn_terms")})
    assert differing(before, now) == (set(), set(), set())
    text = (ROOT / "benchmarks/metrics/estimators/knn.py").read_text()
    body = text[text.index("def kth_distance") :]
    line = next(line for line in body.splitlines() if line.strip().startswith("return"))
    trainings, metrics, references = differing(
        before, after({"benchmarks/metrics/estimators/knn.py": (line, line.replace("return ", "return 1 * "))})
    )
    assert (trainings, references) == (set(), set())
    assert {metric for _, metric in metrics} == {
        "aggregated_kl", "aggregated_kl_knn", "kl_from_posterior_knn", "kl_to_posterior", "kl_to_posterior_knn",
        "posterior_kl",
    }  # fmt: skip


def test_the_unit_of_a_metric_is_written_to_its_results(before, after):
    now = after({"benchmarks/metrics/sharpness.py": ('UNIT = "relative', 'UNIT = "as relative')})
    assert differing(before, now) == (set(), {key for key in before[1] if key[1] == "sharpness"}, set())


def test_hmc_concerns_its_problem_only(before, after):
    now = after({"benchmarks/posteriors/hmc.py": ("TARGET = ", "TARGET = 0.5 * ")})
    assert differing(before, now) == (set(), set(), {"eight-schools"})


def test_a_problem_concerns_its_runs_metrics_and_reference(before, after):
    text = (ROOT / "benchmarks/posteriors/toys.py").read_text()
    torus = text[text.index("class Torus") :]
    line = next(line for line in torus.splitlines() if line.strip().startswith("return"))
    trainings, metrics, references = differing(
        before, after({"benchmarks/posteriors/toys.py": (line, line.replace("return ", "return 1 * "))})
    )
    on_torus = {run for run in before[0] if before[0][run][0]["dataset"] == "torus"}
    assert trainings == {run for run, _ in metrics} == on_torus
    assert references == {"torus"}


@pytest.fixture
def yaml_files(tmp_path, monkeypatch):
    """A copy of the suite's YAML files that is read in their place."""
    for path in (ROOT / "benchmarks").rglob("*.yml"):
        target = tmp_path / "yaml" / path.relative_to(ROOT / "benchmarks")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    monkeypatch.setattr(models, "FOLDER", tmp_path / "yaml")
    return tmp_path / "yaml"


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_draws_of_a_reference_are_its_budget(before, yaml_files):
    first = state()
    assert differing(before, first) == (set(), set(), set())
    suite = Suite("quick")
    exact = suite.profile.reference["exact"]
    chains = suite.profile.reference["chains"]
    replace_in(yaml_files / "profiles.yml", f"chains: {chains}", f"chains: {chains // 2}")
    assert differing(before, state()) == (set(), set(), {"eight-schools"})
    replace_in(yaml_files / "profiles.yml", f"exact: {exact}", f"exact: {exact // 2}")
    assert differing(before, state()) == (set(), set(), set(PROBLEMS))


def test_one_number_of_one_size_of_a_network_concerns_its_runs(before, yaml_files):
    replace_in(yaml_files / "networks.yml", "hidden: [64, 64], noise_dim: 16", "hidden: [64, 65], noise_dim: 16")
    trainings, metrics, references = differing(before, state())
    changed = state()[0]
    assert trainings == {run for run in changed if changed[run][0] != before[0][run][0]}
    assert 0 < len(trainings) < 12
    assert (metrics, references) == (set(), set())


def test_a_helper_module_beside_a_users_method_counts(tmp_path):
    (tmp_path / "helper_of_mine.py").write_text("SCALE = 0.5\nUNUSED = 1\n\n\ndef scaled(x):\n    return SCALE * x\n")
    (tmp_path / "mine.py").write_text(
        "from helper_of_mine import scaled\nfrom methods.vae import VAE\n\n\nclass Mine(VAE):\n    paper = 'mine'\n"
        "    equations = '1'\n    player_names = ('model',)\n\n    def beta(self, step):\n        return scaled(1.0)\n"
    )
    runs = tmp_path / "runs.yml"
    runs.write_text("mine: {like: vae-4-point, method: 'mine.py:Mine'}\n")
    first = state(runs)
    assert class_named(f"{tmp_path / 'mine.py'}:Mine").beta(None, 0) == 0.5
    replace_in(tmp_path / "helper_of_mine.py", "UNUSED = 1", "UNUSED = 2")
    assert differing(first, state(runs)) == (set(), set(), set())
    replace_in(tmp_path / "helper_of_mine.py", "0.5", "0.25")
    assert differing(first, state(runs))[0] == {"mine"}


@pytest.mark.parametrize(
    ("edited", "counts"), [("'a': 1", True), ("'b': 2", True), ("'c': 3", True), ("'d': 4", False)]
)
def test_entries_are_asked_for_by_the_run_or_by_defaults_and_literals(tmp_path, edited, counts):
    file = tmp_path / "network.py"
    text = (
        "TABLE = {'a': 1, 'b': 2, 'c': 3, 'd': 4}\n\n\ndef entry(name):\n"
        "    if name == 'd':\n        raise ValueError(name)\n"
        "    return TABLE[name]\n\n\nclass Net:\n    def __init__(self, of_run, kind='b'):\n"
        "        self.parts = entry(of_run), entry(kind), entry('c')\n"
    )
    found = []
    for content_of_file in (text, text.replace(edited, edited + "0")):
        file.write_text(content_of_file)
        fingerprint.forget()
        found.append(fingerprint.fingerprint({f"{file}:Net"}, {"a"}))
    assert (found[0] != found[1]) == counts


@pytest.mark.parametrize("change", ["replaced", "added", "renamed", "removed"])
def test_the_content_of_a_folder_of_images_counts(tmp_path, monkeypatch, change):
    monkeypatch.setenv("VGB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "images"
    (folder / "train").mkdir(parents=True)
    for number in range(1200):
        (folder / "train" / f"{number:04d}.png").write_bytes(b"%d" % number)
    runs = tmp_path / "runs.yml"
    runs.write_text(f"mine: {{like: vae-cifar10, dataset: 'folder:{folder}@32'}}\n")
    first = state(runs)
    assert differing(first, state(runs)) == (set(), set(), set())
    one = folder / "train" / "0777.png"  # no image that a sample of 1,000 is sure to meet
    if change == "replaced":
        one.write_bytes(b"other")
    elif change == "added":
        (folder / "train" / "more.png").write_bytes(b"more")
    elif change == "renamed":
        one.rename(folder / "train" / "9999.png")
    else:
        one.unlink()
    assert differing(first, state(runs))[0] == {"mine"}


def test_the_code_of_a_classifier_counts_where_its_weights_are_the_same(tmp_path):
    suite = Suite("quick")
    run, judge = "gan-grey-mnist", tmp_path / "classifier-digits" / "seed0" / "run.json"
    entry, keys = suite.metric_options(run)["classifier_score"], []
    for identity in ("one", "other"):
        record = RunRecord(
            run=run, seed=0, profile="quick", status="ok", specification=suite.specification(run),
            dataset=suite.dataset_of(run)[0], identity="of the GAN",
        )  # fmt: skip
        write(judge, record.model_copy(update={"run": "classifier-digits", "identity": identity}))
        declared = [declarations.metrics()[name] for name in ("classifier_score", "rmse")]
        keys.append([key_of(record, metric, entry, tmp_path / "references") for metric in declared])
    assert keys[0][0] != keys[1][0]
    assert keys[0][1] == keys[1][1]


def test_sums_are_kept_until_size_or_time_change(tmp_path, monkeypatch):
    monkeypatch.setenv("VGB_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "data.bin"
    file.write_bytes(b"one")
    first = content.sum_of_path(file)
    monkeypatch.setattr(content, "file_sum", None)  # whoever reads it again fails
    assert content.sum_of_path(file) == first
    file.write_bytes(b"three")
    with pytest.raises(TypeError):
        content.sum_of_path(file)
