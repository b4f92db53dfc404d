"""Cells against published values: mean, spread, difference, verdict. The rules are printed in the report."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import pandas

from benchmarks.config import declarations
from benchmarks.config.models import Cell as Address
from benchmarks.config.models import Quantity, Table
from benchmarks.config.published import Published, published_values
from benchmarks.errors import SuiteError
from benchmarks.jobs.collect import PENDING
from benchmarks.plan.suite import Suite
from benchmarks.statistics import verdicts
from benchmarks.statistics.inference import quantile, spread_of
from benchmarks.statistics.quantities import at_chance, number_in, seeds_of, step_of
from benchmarks.statistics.rankings import places
from benchmarks.statistics.setting import Setting, setting_of

ERRORS, ROUNDING = 3, 1e-4  # standard errors by which a bound is beyond an estimate; nats of float32 in each
MARKS = {"lower bound": "≥", "upper bound": "≤", "estimate": "≈", "impossible": "!"}


@dataclass
class Cell:
    """What a table shows at one place."""

    run: str = ""
    metric: str = ""
    published: Published | None = None
    mean: float | None = None
    spread: float | None = None
    error: float | None = None  # standard error of the evaluation of one seed
    errors: dict[str, float] = field(default_factory=dict)  # its parts: images, samples, draws
    seeds: int = 0
    trainings: int = 0  # how many seeds there are, those that failed included
    kind: str = ""
    unit: str = ""
    protocol: str = ""
    verdict: str = ""
    reason: str = ""
    setting: Setting = field(default_factory=Setting)  # how its run differs from the paper's
    caveats: list[str] = field(default_factory=list)  # that in words
    moved: float | None = None  # change of the mean over the last fifth of a reduced training
    values: dict[int, float] = field(default_factory=dict)  # seed -> value
    margin: float | None = None  # within which a number is the paper's
    reach: float | None = None  # half of the 95 % interval of (ours - paper)
    bias: str = ""  # what is known of the metric's own bias
    low: float | None = None  # of an interval that holds the truth, however biased the estimate is
    high: float | None = None  # None beside a `low`: nothing is known above it
    images: int | None = None  # over which the metric averages
    warning: str = ""  # what a reader must know before using the number
    tie: str = ""  # place among the rows of its column, "1" or "2–4": no telling apart within a range

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        if self.mean is None or self.published is None:
            return None
        return self.mean - self.published.value

    @property
    def mark(self) -> str:
        """≥ or ≤ of a bound, ≈ of an estimate, ! of what cannot be."""
        return MARKS.get(self.kind, "")

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % interval of our mean; of one seed, that of its evaluation only."""
        if len(self.values) < 2:
            return None if not self.values or self.error is None else quantile(math.inf) * self.error
        spread = spread_of(list(self.values.values()), self.step)
        return verdicts.half_width(spread, len(self.values), self.errors.get("images", 0.0))

    @property
    def count(self) -> str:
        """How many seeds its number is of, where there are several or some failed."""
        if self.trainings > self.seeds:
            return f"{self.seeds} of {self.trainings} seeds"
        return f"{self.seeds} seeds" if self.seeds > 1 else ""

    @property
    def step(self) -> float:
        """The least amount by which its metric moves."""
        return step_of(self.metric, self.images)


def number(value: float | None) -> str:
    """Four significant digits, at most four decimals."""
    if value is None:
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def runs_of(grid: list[list[Cell]]) -> list[str]:
    """The runs of a table's cells, empty cells left out."""
    return [cell.run for line in grid for cell in line if cell.run]


def joined(*reasons: str) -> str:
    """Reasons on one line."""
    return "; ".join(filter(None, reasons))


def judge(cell: Cell, row: Address) -> str:
    """The verdict of a cell that has a number; fills in what it rests on."""
    if cell.published is None:
        return "no published value"
    if row.cited:
        return "cited, other network"
    setting, margin = cell.setting, cell.published.margin
    cell.margin = margin
    if cell.kind == "impossible" or cell.low is not None:
        cell.reason = joined(cell.reason, cell.warning or "known within an interval only")
        return "no verdict"
    if setting.stand_in or setting.cut or (setting.network and not setting.serves):
        return "no verdict"
    if setting.reduced and margin is not None:
        if cell.moved is None:
            cell.reason = joined(cell.reason, "how much the number moved at the end of training is unknown")
            return "no verdict"
        if abs(cell.moved) > margin:
            moved = f"still moving: by {cell.moved:+.2g} over the last fifth of training, the margin is {margin:.2g}"
            cell.reason = joined(cell.reason, moved)
            return "no verdict"
    found = verdicts.judge(
        cell.published,
        list(cell.values.values()),
        cell.errors.get("images", 0.0),
        images=cell.images,
        failed=cell.trainings - cell.seeds,
        step=cell.step,
    )
    cell.reach, cell.reason = found.half_width, joined(found.reason)
    return found.verdict


def moved(suite: Suite, frame: pandas.DataFrame, run: str, metric: str) -> float | None:
    """Change of a metric's mean from 4/5 of a reduced training to its end; None where a seed has none.

    A training that validation ended before 4/5 would have given the same at any later round.
    """
    before = suite.settling_round(run)
    rows = frame.loc[(frame.run == run) & (frame.metric == metric) & (frame.status == "ok")]
    if before is None or "step" not in rows:
        return None
    by_seed = rows.astype({"value": float}).set_index("seed")
    last = by_seed[by_seed.final]
    change = last.value - by_seed.value[(by_seed.step == before) & ~by_seed.final]
    change = change.reindex(last.index).mask(last.step < before, 0.0)
    return None if change.empty or change.isna().any() else float(change.mean())


def rank(suite: Suite, frame: pandas.DataFrame, cells: Iterable[Cell]) -> None:
    """Fill in `tie` of the cells that can be compared."""
    groups: dict[tuple, list[Cell]] = {}
    for cell in cells:
        if len(cell.values) > 1 and cell.low is None and cell.trainings == cell.seeds:
            if at_chance(frame, Quantity(run=cell.run, metric=cell.metric)):
                cell.tie = "at chance"
                continue
            groups.setdefault((cell.metric, cell.protocol, suite.run(cell.run).fraction), []).append(cell)
    for (metric, *_), group in groups.items():
        better = declarations.metrics()[metric].literals.get("better", "neither")
        if better == "neither" or len({cell.run for cell in group}) < 2:
            continue
        seeds = [seeds_of(frame, Quantity(run=cell.run, metric=metric)) for cell in group]
        for cell, place in zip(group, places(seeds, better == "higher"), strict=True):
            cell.tie = f"{place} of {len(group)}"


def with_reach(frame: pandas.DataFrame) -> list[str]:
    """The frame's columns, and those of bounds and warnings that older results lack."""
    return list(dict.fromkeys([*frame.columns, "low", "high", "kind", "warning", "n", "details", "errors"]))


def log_density(suite: Suite, run: str, metric: str) -> tuple[str, float]:
    """The quantity that the metric's number is of or bounds ("" of none), and the factor that makes it nats of that.

    Of pixels that are no 8-bit levels, masses are densities.
    """
    says, dataset = declarations.metrics()[metric].literals, suite.dataset_of(run)[1]
    per_dimension = math.prod(dataset.x_shape) * math.log(2) if says["unit"] == "bits/dim" else 1.0
    if not says.get("quantity") or not per_dimension:
        return "", 0.0
    quantity = says["quantity"] if dataset.pixels == "levels" else "log p(x)"
    return quantity, -per_dimension if says["better"] == "lower" else per_dimension


class LogDensity(NamedTuple):
    """What a metric says of a log-density: mean over so many images and its standard error, nats."""

    metric: str
    quantity: str
    images: float
    nats: float
    error: float


def log_densities(suite: Suite, rows: pandas.DataFrame) -> tuple[list[LogDensity], list[LogDensity]]:
    """Bounds and estimates among one run's rows; AIS that gave way to the importance bound is both."""
    bounds, estimates = [], []
    for row in rows.to_dict("records"):
        metric = row["metric"]
        quantity, factor = log_density(suite, row["run"], metric)
        if not quantity:
            continue
        details = json.loads(row["details"]) if isinstance(row["details"], str) else {}
        found = LogDensity(metric, quantity, row["n"], factor * row["value"], abs(factor) * row["standard_error"])
        if "annealed" in details:
            error = details.get("annealed, standard error", found.error)
            estimates.append(found._replace(nats=details["annealed"], error=error))
            bounds.append(found)
        else:
            kind = declarations.metrics()[metric].literals["kind"]
            (bounds if kind.endswith("bound") else estimates).append(found)
    return bounds, estimates


def beyond(suite: Suite, frame: pandas.DataFrame, run: str, metric: str) -> dict[int, str]:
    """Seed -> a warning, where a bound is above an estimate of the same log-density by ERRORS standard errors.

    One of the two is the metric's; the other need not be in a table. Both are of the same images, over which they vary
    together: errors that are taken for independent mark late rather than early.
    """
    if not log_density(suite, run, metric)[0]:
        return {}
    rows = frame.loc[(frame.run == run) & frame.final & (frame.status == "ok")].reindex(columns=with_reach(frame))
    rows = rows.loc[rows.metric.isin(declarations.metrics())].astype({"value": float, "standard_error": float})
    found = {}
    for seed, of_seed in rows.groupby("seed"):
        for bound, estimate in product(*log_densities(suite, of_seed)):
            allowed = ERRORS * math.hypot(bound.error, estimate.error, ROUNDING)
            alike = (bound.quantity, bound.images) == (estimate.quantity, estimate.images)
            if metric in (bound.metric, estimate.metric) and alike and bound.nats - estimate.nats > allowed:
                name = "its importance bound" if bound.metric == estimate.metric else bound.metric
                found[int(str(seed))] = (
                    f"{name} says {bound.quantity} >= {bound.nats:.2f}, {estimate.metric} {estimate.nats:.2f}; "
                    f"{ERRORS} standard errors are {allowed:.2f}: the estimate is too low, or they are of two models, "
                    f"see `python -m benchmarks contract {run}`"
                )
    return found


def fill(suite: Suite, frame: pandas.DataFrame, run: str, metric: str, row: Address) -> Cell:
    """The cell of (run, metric), over seeds."""
    rows = frame.loc[(frame.run == run) & (frame.metric == metric) & frame.final].reindex(columns=with_reach(frame))
    good, setting = rows.loc[rows.status == "ok"], setting_of(suite, run)
    cell = Cell(run=run, metric=metric, setting=setting, caveats=setting.lines)
    if len(rows) == 0:  # collected with other tables in mind
        cell.verdict, cell.reason = "not run", PENDING
        return cell
    if len(good) == 0:
        worst = rows.iloc[0]
        cell.verdict, cell.reason = str(worst.status), str(worst.reason)
        return cell
    cell.mean, cell.seeds = float(good.value.mean()), len(good)
    cell.trainings = int((rows.status != "not run").sum())
    cell.moved = moved(suite, frame, run, metric)
    cell.spread = float(good.value.std()) if len(good) > 1 else None
    cell.values = {int(seed): float(value) for seed, value in zip(good.seed, good.value, strict=True)}
    errors = good.standard_error.dropna()
    cell.error = float(errors.mean()) if len(errors) else None
    for source in ("images", "samples", "draws"):
        parts = [number_in(text, source) for text in good.errors]
        cell.errors |= {source: sum(parts) / len(parts)} if any(parts) else {}
    first = good.iloc[0]
    if first.images and suite.run(run).fraction < 1:
        labelled = f", {int(first.labelled_images)} of them labelled" if suite.run(run).rest == "unlabelled" else ""
        cell.caveats = [*cell.caveats, f"n = {int(first.images)} images{labelled}"]
    cell.bias = declarations.metrics()[metric].literals.get("bias", "")
    cell.kind, cell.unit, cell.protocol = first.kind, first.unit, first.protocol
    usual = declarations.metrics()[metric].literals.get("kind", "estimate")
    kinds = set(good.kind) - {usual}  # of one seed, then of the mean
    cell.kind = "impossible" if "impossible" in kinds else next(iter(sorted(kinds)), usual)
    cell.images = None if pandas.isna(first.n) else int(first.n)
    marks, said = beyond(suite, frame, run, metric), good.warning.where(good.warning.notna(), "")
    both = [(text, marks.get(int(seed), "")) for seed, text in zip(good.seed, said, strict=True)]
    warned = ["; ".join(filter(None, texts)) for texts in both if any(texts)]
    cell.warning = warned[0] if warned else ""
    if 0 < len(warned) < len(good):
        cell.warning = f"{len(warned)} of {len(good)} seeds: {cell.warning}"
    elif len(set(warned)) > 1:
        cell.warning += f" (seed {int(first.seed)})"
    if good.low.notna().any():
        cell.low = float(good.low.fillna(good.value).mean())
        cell.high = float(good.high.fillna(good.value).mean())
        if (good.low.notna() & good.high.isna()).any():  # a bound: nothing else is known of the mean
            cell.mean, cell.high, cell.spread, cell.error, cell.values = cell.low, None, None, None, {}
    if len(good) < len(rows):
        cell.reason = (
            f"{cell.trainings - len(good)} of {cell.trainings} seeds failed" if cell.trainings > len(good) else ""
        )
    return cell


def table_cells(suite: Suite, frame: pandas.DataFrame, name: str, table: Table) -> list[list[Cell]]:
    """The table's cells, row by row; SuiteError if a column mixes two protocols of one metric."""
    values = published_values()
    chosen = {(r.label, c.label): (run, metric) for r, c, run, metric in suite.cells(table)}
    grid = []
    for row in table.rows:
        line = []
        for column in table.columns:
            published = values.get((name, row.label, column.label))
            run, metric = chosen.get((row.label, column.label), ("", ""))
            if run and (published or suite.serves(run, metric)):  # else there is nothing to compare: a dash
                cell = fill(suite, frame, run, metric, row)
                cell.published = published
                if cell.mean is not None:
                    cell.verdict = judge(cell, row)
            else:
                cell = Cell(published=published, verdict="cited" if published else "")
            line.append(cell)
        grid.append(line)
    rank(suite, frame, (cell for line in grid for cell in line))
    for cells in grid if table.rows_are != "methods" else (*zip(*grid, strict=True), *grid):
        refuse_mixture(name, cells)
    return grid


def refuse_mixture(name: str, cells) -> None:
    """SuiteError if cells of one metric have different protocols, or one run's likelihoods are of different images."""
    protocols: dict[str, str] = {}
    images: dict[str, Cell] = {}
    for cell in (cell for cell in cells if cell.mean is not None):
        if protocols.setdefault(cell.metric, cell.protocol) != cell.protocol:
            raise SuiteError(
                f"table {name}: {cell.metric} mixes the protocols {protocols[cell.metric]!r} and "
                f"{cell.protocol!r}; evaluate again with one"
            )
        if declarations.metrics()[cell.metric].literals.get("likelihood"):
            other = images.setdefault(cell.run, cell)
            if other.images != cell.images:
                raise SuiteError(
                    f"table {name}: {cell.run}: {other.metric} is of {other.images} test images, {cell.metric} of "
                    f"{cell.images}; evaluate both on the same"
                )
