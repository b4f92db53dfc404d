"""What the methods' files say of themselves: the list, Unifying's table 1 and figure 4. Its figure 2, by numbers."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy
import pandas
import pytest

from benchmarks.cli.main import main
from benchmarks.config import declarations, method_cards, models, user_runs
from benchmarks.errors import SuiteError
from benchmarks.jobs.collect import collect
from benchmarks.plan.suite import Suite
from benchmarks.report import correspondence, figures, page
from benchmarks.report.relations import Graph, Layout
from benchmarks.report.schematics import KINDS, OneStep, StepOptions

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = SimpleNamespace(runs={}, only=[])  # all that these need of a Suite
DRAWN = models.of_papers("figures", models.Figure)
BUMPS = {"data": [(0.7, 1.5, 0.7), (0.3, 4.2, 0.5)], "generator": (-1.0, 0.9)}


def test_the_list_is_complete_quick_and_free_of_torch():
    code = "import sys; from benchmarks.cli.main import main; main(['list']); sys.exit('torch' in sys.modules)"
    start = os.times()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds = os.times()
    assert seconds.children_user + seconds.children_system < start.children_user + start.children_system + 2
    for name, declared in declarations.methods().items():
        assert f"{name}  (methods/{declared.path.name})" in done.stdout
        assert f"paper: {declared.literals['paper']}; equations: {declared.literals['equations']}" in done.stdout
        assert f"players: {', '.join(declared.literals['player_names'])}" in done.stdout


def test_the_readme_has_the_list(capsys):
    assert main(["list", "--markdown"]) == 0
    assert method_cards.in_readme() == capsys.readouterr().out.strip(), "paste `python -m benchmarks list --markdown`"
    for name in declarations.methods():
        assert f"`{name}`" in method_cards.in_readme()


def own_method(tmp_path, literal):
    """A runs file with one run of a method in a user's own file."""
    (tmp_path / "mine.py").write_text(f'from methods.vae import VAE\n\n\nclass Mine(VAE):\n    """Mine."""\n{literal}')
    runs = tmp_path / "mine.yml"
    runs.write_text(
        f"mine:\n  method: {tmp_path}/mine.py:Mine\n  dataset: 4-point\n  latent_dim: 2\n  components: {{}}\n"
        "  train: {steps: 1, batch_size: 8, learning_rate: 0.001}\n"
    )
    declarations.forget()
    return runs, SimpleNamespace(runs=user_runs.load(runs, models.of_papers("runs", models.Run)), only=[])


def test_a_users_method_is_listed_and_related(tmp_path, capsys):
    runs, suite = own_method(tmp_path, '    relations = {"VAE": "extends"}\n')
    assert main(["list", "--runs", str(runs)]) == 0
    assert f"Mine  ({tmp_path}/mine.py)\n  Mine\n" in capsys.readouterr().out
    assert ("Mine", "VAE", "extends") in Graph.of(suite.runs).edges
    assert "Mine" not in method_cards.described("correspondence", suite.runs)  # not inherited from VAE


@pytest.mark.parametrize(
    ("literal", "pieces"),
    [
        ('relations = {"VEA": "extends"}', ["mine.py: Mine.relations", "did you mean 'VAE'"]),
        ('relations = {"VAE": "extend"}', ["mine.py: Mine.relations", "did you mean 'extends'"]),
        ('correspondence = {"minimise": "KL"}', ["mine.py: Mine.correspondence", "did you mean 'minimises'"]),
        ('relations = ("VAE", "extends")', ["Mine.relations", "expected a mapping"]),
        ('correspondence = {"x": "data"}', ["mine.py: Mine.correspondence", "minimises missing"]),
    ],
)
def test_a_mistake_in_a_declaration_is_one_line(tmp_path, literal, pieces):
    _, suite = own_method(tmp_path, f"    {literal}\n")
    with pytest.raises(SuiteError) as caught:
        method_cards.descriptions(suite.runs)
    assert all(piece in str(caught.value) for piece in pieces), caught.value


@pytest.mark.parametrize("literal", declarations.DESCRIPTIVE)
def test_declarations_are_the_live_ones(literal):
    for declared in method_cards.described(literal, {}).values():
        module, name = declared.target.split(":")
        assert vars(getattr(importlib.import_module(module), name))[literal] == declared.literals[literal]


def test_the_correspondence_has_every_method_that_declares_it(tmp_path):
    html = correspondence.section(EVERYTHING, tmp_path)
    declared = method_cards.described("correspondence", {})
    names = {d.literals["correspondence"].get("name", n) for n, d in declared.items()}
    table = pandas.read_csv(tmp_path / "unifying-table-1.csv", index_col="method")
    assert set(table.index) == names
    assert len(names) == len(declared)
    assert list(table.columns) == list(method_cards.FIELDS.values())
    assert table.loc["VAE", "KLD to minimise"] == "KL(q_eta(z|x,y) q_*^r(y|x) || p_theta(z,y|x))"  # as in the paper
    assert "KL(<i>q</i><sub>η</sub>(z|x,y) <i>q</i><sub>*</sub><sup>r</sup>(y|x) ‖ <i>p</i><sub>θ</sub>(z,y|x))" in html
    lines = (tmp_path / "unifying-table-1.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == len(names) + 1
    assert {row.replace("\\|", "").count("|") for row in rows} == {len(method_cards.FIELDS) + 2}
    assert r"KL($q_{\eta}$(z$|$x,y) $q_{*}^{r}$(y$|$x) $\Vert$" in (tmp_path / "unifying-table-1.tex").read_text()
    assert not correspondence.section(SimpleNamespace(runs={}, only=["avb-table-1"]), tmp_path)


def test_every_relation_is_known_and_the_boxes_stand_apart():
    assert KINDS.keys() == method_cards.RELATIONS.keys()
    graph = Graph.of({})  # raises for an unknown class or kind
    assert len(graph.edges) == sum(
        len(d.literals["relations"]) for d in method_cards.described("relations", {}).values()
    )
    layout = Layout(graph)
    for a, b, kind in graph.edges:
        assert kind == "swaps" or layout.rank[a] > layout.rank[b]
    boxes = [(layout.x[n], layout.y[n], layout.width[n]) for n in graph.labels]
    for i, (x, y, w) in enumerate(boxes):
        for u, v, o in boxes[i + 1 :]:
            assert abs(y - v) > 0.3 or abs(x - u) > (w + o) / 2 + 0.3


def test_a_circle_of_relations_is_an_error():
    with pytest.raises(SuiteError, match="a -> b -> a is a circle"):
        Layout(Graph({"a": "a", "b": "b"}, [("a", "b", "extends"), ("b", "a", "extends")]))
    both_ways = Layout(Graph({"a": "a", "b": "b"}, [("a", "b", "swaps"), ("b", "a", "swaps")]))
    assert both_ways.rank == {"a": 0, "b": 0}


def test_the_posterior_is_the_data_for_the_optimal_discriminator():
    step = OneStep.of(StepOptions(**BUMPS, discriminator="optimal"))
    data = numpy.exp(step.log_data)
    assert step.integral(data) == pytest.approx(1, abs=1e-12)
    assert abs(numpy.exp(step.log_posterior(0)) - data).max() < 1e-10
    generator = step.log_generator(step.theta)
    # eq. 14: there the step is that of KL(p_g || p_data) / 2 - JSD, whose terms eq. 10 has, and a constant
    found = step.divergences(step.theta)[0] - step.kl(step.log_data, generator) / 2
    assert found == pytest.approx(step.kl(generator, step.log_data) / 2, abs=1e-10)


def test_a_discriminator_that_guesses_gives_the_equal_mixture_and_no_step():
    step = OneStep.of(StepOptions(**BUMPS, discriminator=(0.0, 0.0)))
    mixture = (numpy.exp(step.log_generator(step.theta)) + numpy.exp(step.log_data)) / 2
    assert abs(numpy.exp(step.log_posterior(0)) - mixture).max() < 1e-10
    assert abs(step.gradient()).max() < 1e-12
    assert abs(step.after() - step.theta).max() < 1e-12


@pytest.mark.parametrize("discriminator", ["optimal", (1.5, -0.5), (-0.3, 0.2)])
def test_lemma_1(discriminator):
    step = OneStep.of(StepOptions(**BUMPS, discriminator=discriminator))
    for i, exact in enumerate(step.gradient()):
        shift = 1e-4 * numpy.eye(2)[i]
        slope = (step.objective(step.theta + shift) - step.objective(step.theta - shift)) / 2e-4
        assert slope == pytest.approx(exact, abs=1e-6)


def test_the_drawn_step_lowers_the_objective_and_moves_to_the_larger_bump():
    step = OneStep.of(StepOptions(**DRAWN["unifying-figure-2"].options))
    new = step.after()
    assert step.objective(new) < step.objective(step.theta) - 0.1
    (_, large, _), (_, small, _) = DRAWN["unifying-figure-2"].options["data"]
    assert abs(new[0] - large) < abs(step.theta[0] - large) / 2
    assert abs(new[0] - small) > 4 * numpy.exp(new[1])  # the smaller bump is missed


@pytest.mark.parametrize("name", [name for name in DRAWN if name.startswith("unifying") and not DRAWN[name].runs])
def test_schematics_are_drawn_without_runs(name, tmp_path):
    assert figures.draw(EVERYTHING, name, DRAWN[name], pandas.DataFrame(), tmp_path) == ""
    assert all((tmp_path / f"{name}.{suffix}").stat().st_size > 1000 for suffix in ("png", "svg"))


def test_a_figure_without_runs_can_be_asked_for_alone(tmp_path, monkeypatch):
    suite = Suite("smoke", only=["unifying-figure-4"])
    assert not suite.jobs
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "smoke").mkdir(parents=True)
    collect(suite)
    assert 'src="unifying-figure-4.png"' in page.render(suite).read_text()
