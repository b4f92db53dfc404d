"""`compare`: on simulated frames its false alarms keep their level and it finds what moved; other changes are told."""

import numpy
import pandas
import pytest

from benchmarks.cli.main import main
from benchmarks.statistics import moved

LEVEL, FRAMES, CELLS = 0.05, 200, 20  # as many comparisons of two frames of so many cells


def frame(values, error=0.1, protocol="p", metric="m"):
    """Rows of `values` [cells, seeds] as a results table."""
    rows = [
        {"run": f"run-{run}", "seed": seed, "metric": metric, "status": "ok", "value": value, "standard_error": error,
         "protocol": protocol, "final": True}
        for run, line in enumerate(values)
        for seed, value in enumerate(line)
    ]  # fmt: skip
    return pandas.DataFrame(rows)


def p_values(seeds, shift):
    """p [frames, cells] of frames whose cells have mean 0, and spread 1 over seeds or evaluation error 0.1."""
    random = numpy.random.default_rng(0)
    a, b = (random.normal(size=(FRAMES * CELLS, n)) * (1 if seeds != (1, 1) else 0.1) for n in seeds)
    b[::CELLS] += shift
    found = moved.compare(frame(a), frame(b)).p
    return found.loc[[(f"run-{number}", "m") for number in range(len(a))]].to_numpy().reshape(FRAMES, CELLS)


@pytest.mark.parametrize("seeds", [(5, 5), (3, 5), (5, 1), (1, 1)])
def test_false_alarms_keep_their_level_and_large_shifts_are_found(seeds):
    alarms = [min(moved.holm(list(line))) <= LEVEL for line in p_values(seeds, 0.0)]
    assert numpy.mean(alarms) <= LEVEL + 4 * (LEVEL * (1 - LEVEL) / FRAMES) ** 0.5
    shift = 1.0 if seeds == (1, 1) else 20.0
    found = [moved.holm(list(line))[0] <= LEVEL for line in p_values(seeds, shift)]
    assert numpy.mean(found) >= 0.9


def one(a, b, **more):
    return moved.compare(a, b, **more).iloc[0]


def test_the_error_is_the_one_that_is_known():
    a, b = numpy.array([[1.0, 2.0, 3.0]]), numpy.array([[2.0, 4.0, 6.0, 8.0]])
    both = one(frame(a), frame(b))
    assert both.basis == "seeds of both"
    assert both.error == pytest.approx((1 / 3 + b.var(ddof=1) / 4) ** 0.5)
    lone = one(frame(a), frame([[9.0]]))
    assert (lone.basis, lone.error) == ("seeds of one", pytest.approx((1 / 3 + 1) ** 0.5))
    alone = one(frame([[1.0]]), frame([[1.5]]))
    assert (alone.basis, alone.error) == ("evaluation", pytest.approx(0.02**0.5))
    assert alone.statistic == pytest.approx(0.5 / 0.02**0.5)
    unknown = one(frame([[1.0]], error=numpy.nan), frame([[2.0]]))
    assert (unknown.outcome, unknown.difference) == ("no error known", 1.0)
    assert one(frame([[1.0, 1.0]]), frame([[1.1, 1.1]])).outcome == "moved"  # no spread at all


def test_what_is_not_a_difference_is_told_apart(tmp_path):
    a = pandas.concat([frame([[1.0], [2.0], [3.0], [4.0]]), frame([[1.0]], metric="other")])
    b = frame([[1.0], [2.0], [3.0]]).assign(protocol=["p", "p, n=10", "p"], status=["ok", "ok", "failed"])
    b = pandas.concat([b, frame([[1.0]], metric="third")])
    found = moved.compare(a, b).outcome.to_dict()
    assert found == {
        ("run-0", "m"): "identical",
        ("run-1", "m"): "protocol",
        ("run-2", "m"): "status",
        ("run-3", "m"): "gone",
        ("run-0", "other"): "gone",
        ("run-0", "third"): "new",
    }
    said = "\n".join(moved.lines(moved.compare(a, b)))
    for text in ("status: run-2 m: ok -> failed", "not compared: p -> p, n=10", "gone: run-3 m", "new: run-0 third"):
        assert text in said


def test_the_command(tmp_path, capsys):
    a, b, csv = tmp_path / "a.parquet", tmp_path / "b.csv", tmp_path / "out.csv"
    frame([[1.0], [0.1 + 0.2]]).to_parquet(a)
    frame([[1.0], [0.1 + 0.2]]).to_csv(b, index=False)
    assert main(["compare", str(a), str(b), "--csv", str(csv)]) == 0
    assert "2 cells: 2 identical" in capsys.readouterr().out
    assert len(pandas.read_csv(csv)) == 2
    frame([[1.0], [9.0]]).to_csv(b, index=False)
    assert main(["compare", str(a), str(b)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("moved: run-1 m: 0.3 (n=1) -> 9 (n=1), +8.7 ± 0.14 from evaluation, z = 61.52")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.csv", None, "no such file"),
        ("a.txt", "run", "expected a results.parquet"),
        ("a.csv", "run,seed\na,1\n", "column metric is missing"),
        ("a.parquet", "no parquet", "cannot be read"),
        ("b.csv", "", "cannot be read"),
        ("c.csv", frame([[1.0], [1.0]]).assign(run="a").to_csv(index=False), "a, seed 0, m stands twice"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, name, content, says):
    if content is not None:
        (tmp_path / name).write_text(content)
    assert main(["compare", str(tmp_path / name), str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
