"""Which cells of two result frames differ beyond noise: between versions, machines or releases of PyTorch."""

from pathlib import Path
from typing import Any

import numpy
import pandas
from scipy import stats

from benchmarks.errors import SuiteError
from benchmarks.statistics.inference import holm

RULE = (
    "A cell is one metric of one run. With two seeds or more on both sides Welch's t test compares the means; with one "
    "seed on one side, the spread over the other's seeds serves both; with one seed on each, a z test takes the errors "
    "of evaluation alone, and what another seed would change is not known. p values are corrected by Holm over the "
    "tested cells."
)
COLUMNS = ("run", "seed", "metric", "status", "value", "standard_error", "protocol", "final")
WORST = ("failed", "not run", "ok")
OUTCOMES = {  # outcome of a cell -> whether something moved
    "moved": True,
    "status": True,
    "protocol": True,
    "gone": True,
    "new": False,
    "no error known": False,
    "within noise": False,
    "identical": False,
}


def read_frame(path: Path) -> pandas.DataFrame:
    """The last round's rows of a results.parquet or results.csv; SuiteError where it is neither."""
    if path.suffix not in (".parquet", ".csv"):
        raise SuiteError(f"{path}: expected a results.parquet or results.csv; both lie in results/<profile>/")
    try:
        frame: Any = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path)
    except FileNotFoundError:
        raise SuiteError(f"{path}: no such file; run snakemake to make results/<profile>/results.parquet") from None
    except (OSError, ValueError) as error:
        raise SuiteError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]}); make it again") from None
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise SuiteError(f"{path}: column {missing[0]} is missing; expected a results.parquet or results.csv")
    frame = frame[frame["final"].astype(bool)].reset_index(drop=True)
    twice = frame.duplicated(["run", "seed", "metric"])
    if twice.any():
        run, seed, metric = frame.loc[twice, ["run", "seed", "metric"]].iloc[0]
        raise SuiteError(f"{path}: {run}, seed {seed}, {metric} stands twice; expected one row for each")
    return frame


def cells(frame: Any) -> pandas.DataFrame:
    """A row for each (run, metric): worst status, seeds, mean, spread, error of evaluation, protocol, exact values."""
    ok = frame[frame.status == "ok"].sort_values("seed")
    grouped = ok.groupby(["run", "metric"])
    found = pandas.DataFrame(
        {
            "n": grouped.value.size(),
            "mean": grouped.value.mean(),
            "spread": grouped.value.std(ddof=1),
            "error": grouped.standard_error.first(),
            "protocol": grouped.protocol.agg(lambda each: "; ".join(sorted(set(each.fillna(""))))),
            "exact": grouped[["seed", "value"]].apply(lambda rows: tuple(map(tuple, rows.to_numpy()))),
        }
    )
    rank = frame.assign(rank=frame.status.map(WORST.index)).groupby(["run", "metric"])["rank"].min()
    return found.reindex(rank.index).assign(status=rank.map(dict(enumerate(WORST)))).fillna({"n": 0, "protocol": ""})


def tested(both: Any) -> pandas.DataFrame:
    """`basis`, `error`, `statistic` and two-sided `p` of each pair of cells; NaN where no error is known."""
    n_a, n_b = both.n_a, both.n_b
    var_a, var_b = both.spread_a**2, both.spread_b**2
    welch, lone = (n_a > 1) & (n_b > 1), (n_a > 1) ^ (n_b > 1)
    part_a, part_b = var_a / n_a, var_b / n_b
    pooled = var_a.where(n_a > 1, var_b) * (1 / n_a + 1 / n_b)
    evaluation = both.error_a**2 + both.error_b**2
    variance = (part_a + part_b).where(welch, pooled.where(lone, evaluation))
    with numpy.errstate(divide="ignore", invalid="ignore"):
        freedom = (part_a + part_b) ** 2 / (part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1))
    freedom = freedom.fillna(n_a + n_b - 2).where(welch, numpy.maximum(n_a, n_b) - 1).where(welch | lone, numpy.inf)
    error = numpy.sqrt(variance.astype(float))
    with numpy.errstate(divide="ignore"):
        statistic = both.difference / error
    names = numpy.select([welch, lone], ["seeds of both", "seeds of one"], "evaluation")
    return both.assign(
        basis=numpy.where(error.isna(), "none", names),
        error=error,
        statistic=statistic,
        p=2 * stats.t.sf(statistic.abs(), freedom.astype(float)),
    )


def compare(a: pandas.DataFrame, b: pandas.DataFrame, level: float = 0.05) -> pandas.DataFrame:
    """A row for each cell of either frame with its `outcome` (a key of OUTCOMES), the greatest differences first."""
    both: Any = cells(a).add_suffix("_a").join(cells(b).add_suffix("_b"), how="outer")
    both["difference"] = both.mean_b - both.mean_a
    same = both.exact_a.notna() & both.exact_b.notna() & (both.exact_a == both.exact_b)
    conditions = {
        "gone": both.status_b.isna(),
        "new": both.status_a.isna(),
        "status": both.status_a != both.status_b,
        "identical": (both.status_a != "ok") | (same & (both.protocol_a == both.protocol_b)),
        "protocol": both.protocol_a != both.protocol_b,
    }
    both = tested(both)
    both["outcome"] = numpy.select(list(conditions.values()), list(conditions), "tested")
    judged = both.outcome == "tested"
    both.loc[judged & both.p.isna(), "outcome"] = "no error known"
    judged &= both.p.notna()
    both["corrected"] = pandas.Series(holm(list(both.p[judged])), both.index[judged], dtype=float)
    both.loc[judged, "outcome"] = numpy.where(both.corrected[judged] <= level, "moved", "within noise")
    both.loc[both.outcome.isin(["protocol", "gone", "new"]), ["difference", "error", "statistic", "p"]] = numpy.nan
    order = both.outcome.map(list(OUTCOMES).index)
    size = -both.statistic.abs().fillna(0)
    return (
        both.assign(order=order, size=size)
        .sort_values(["order", "size", "run", "metric"])
        .drop(columns=["order", "size", "exact_a", "exact_b"])
    )


def line(cell: Any) -> str:
    """One cell for a terminal."""
    run, metric = cell.name
    where = f"{cell.outcome}: {run} {metric}"
    if cell.outcome == "status":
        return f"{where}: {cell.status_a} -> {cell.status_b}"
    if cell.outcome == "protocol":
        return f"{where}: not compared: {cell.protocol_a} -> {cell.protocol_b}"
    if cell.outcome in ("gone", "new"):
        return f"{where}: {cell.status_a if cell.outcome == 'gone' else cell.status_b}"
    says = (
        f"{where}: {cell.mean_a:.6g} (n={cell.n_a:.0f}) -> {cell.mean_b:.6g} (n={cell.n_b:.0f}), {cell.difference:+.3g}"
    )
    if cell.outcome == "no error known":
        return says
    letter = "z" if cell.basis == "evaluation" else "t"
    test = f"{letter} = {cell.statistic:.2f}, corrected p = {cell.corrected:.2g}"
    return f"{says} ± {cell.error:.2g} from {cell.basis}, {test}"


def lines(found: Any, every: bool = False) -> list[str]:
    """What to print: the cells that did not stay as they were (or `every` one), then counts and the rule."""
    counts = found.outcome.value_counts()
    lone, quiet = ("gone", "new"), () if every else ("within noise", "identical")
    said = [line(cell) for _, cell in found.iterrows() if cell.outcome not in (*lone, *quiet)]
    for (outcome, run), group in found[found.outcome.isin(lone)].groupby(["outcome", "run"]):
        said.append(f"{outcome}: {run} {', '.join(group.index.get_level_values('metric'))}")
    total = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if outcome in counts)
    return [*said, f"{len(found)} cells: {total or 'none'}", RULE]


def moved(found: Any) -> bool:
    """Whether any cell moved, went, or changed its status or protocol."""
    return bool(found.outcome.map(OUTCOMES).astype(bool).any())
