"""A quantity of a claim, a place or a comparison by training seed, read from the table of results."""

import json
import math
from pathlib import Path

import numpy
import pandas

from benchmarks import catalogue
from benchmarks.config import Quantity
from benchmarks.jobs.metric_files import per_image_values
from benchmarks.statistics.inference import Seeds, contrast, paired

COLUMNS = ("low", "high", "errors", "controls", "diverged", "train_status", "n", "profile")  # older results lack some
RESULTS = Path("results")


def rows_of(frame: pandas.DataFrame, run: str, metric: str) -> pandas.DataFrame:
    """The last round's rows of one run and metric, by seed, with every column."""
    rows = frame.loc[(frame.run == run) & (frame.metric == metric) & frame.final].set_index("seed").sort_index()
    return rows.reindex(columns=list(dict.fromkeys([*rows.columns, *COLUMNS])))


def number_in(text: object, key: str, missing: float = 0.0) -> float:
    """A number of a JSON object in a cell of the table of results."""
    return float(json.loads(text).get(key, missing)) if isinstance(text, str) else missing


def step_of(metric: str, n: object) -> float:
    """The least amount by which a share of n things moves; 0 of anything else."""
    whole = catalogue.metrics()[metric].literals.get("step", 0.0) if metric in catalogue.metrics() else 0.0
    return float(whole) / float(n) if whole and n and not pandas.isna(n) else 0.0  # type: ignore[arg-type]


def of_folder(folder: Path, metric: str) -> numpy.ndarray | None:
    """Each test image's share in a value [n], of a root of a mean square to first order; None where it was not kept."""
    values = per_image_values(folder, metric)
    if values is not None and catalogue.metrics()[metric].literals["per_image"] == "squares":
        return values / (2 * math.sqrt(values.mean() or 1.0))
    return values


def images_of(good: pandas.DataFrame, run: str, metric: str) -> numpy.ndarray | None:
    """Mean over seeds of what each test image gives [n]; None where a seed did not keep it."""
    folders = [RESULTS / str(profile) / run / f"seed{seed}" for seed, profile in good.profile.items()]
    kept = [of_folder(folder, metric) for folder in folders]
    arrays = [array for array in kept if array is not None]
    whole = len(arrays) == len(kept) and len({len(array) for array in arrays}) == 1
    return numpy.mean(arrays, axis=0) if whole else None


def seeds_of(frame: pandas.DataFrame, quantity: Quantity) -> Seeds:
    """The quantity of every seed that has it; `minus` takes off another run's of the same seed."""
    if quantity.minus is not None:
        one, other = (quantity.model_copy(update={"run": run, "minus": None}) for run in (quantity.run, quantity.minus))
        return paired(seeds_of(frame, one), seeds_of(frame, other))
    rows = rows_of(frame, quantity.run, quantity.metric)
    good = rows.loc[rows.status == "ok"]
    failed = rows.status == "failed"
    trainings = int((rows.status != "not run").sum())
    diverged = int((rows.diverged.eq(True) & failed).sum())
    if quantity.detail is not None:
        detail = quantity.detail
        values = good.details.map(lambda text: number_in(text, detail, math.nan)).astype(float).dropna()
        return Seeds(values, values, values, 0.0, trainings, int(failed.sum()), diverged)
    value, low, high = (good[name].astype(float) for name in ("value", "low", "high"))
    high = high.where(high.notna(), value.where(low.isna(), math.inf))  # above a bound nothing is known
    images = [number_in(text, "images") for text in good.errors]
    return Seeds(
        value,
        low.where(low.notna(), value),
        high,
        step_of(quantity.metric, good.n.iloc[0]) if len(good) else 0.0,
        trainings,
        int(failed.sum()),
        diverged,
        images_of(good, quantity.run, quantity.metric) if any(images) else None,
        float(numpy.mean(images)) if images else 0.0,
    )


def limits_of(metric: str) -> tuple[float, float]:
    """Natural limits of a metric; infinite where there are none."""
    low, high = catalogue.metrics()[metric].literals.get("limits", (None, None))
    return (-math.inf if low is None else float(low)), (math.inf if high is None else float(high))


def better_of(quantity: Quantity) -> str:
    """`higher`, `lower` or `neither`."""
    literals = catalogue.metrics()[quantity.metric].literals
    if quantity.detail is None:
        return str(literals.get("better", "neither"))
    return str(literals.get("better_details", {}).get(quantity.detail, "neither"))


def controls_of(frame: pandas.DataFrame, quantity: Quantity) -> dict[str, float]:
    """What a method without skill scores: name of the control -> value, mean over seeds."""
    rows = rows_of(frame, quantity.run, quantity.metric)
    texts = [json.loads(text) for text in rows.controls.loc[rows.status == "ok"] if isinstance(text, str)]
    suffix = f", {quantity.detail}"
    found: dict[str, list[float]] = {}
    for text in texts:
        for name, value in text.items():
            if quantity.detail is None and ", " not in name:
                found.setdefault(name, []).append(value)
            elif quantity.detail is not None and name.endswith(suffix):
                found.setdefault(name.removesuffix(suffix), []).append(value)
    return {name: float(numpy.mean(values)) for name, values in found.items()}


def at_chance(frame: pandas.DataFrame, quantity: Quantity) -> str:
    """The control that the quantity is not shown to be better than, with its value; empty where it is."""
    controls, seeds = controls_of(frame, quantity), seeds_of(frame, quantity)
    if not controls or quantity.minus is not None or not len(seeds) or better_of(quantity) == "neither":
        return ""
    better = better_of(quantity)
    sign = 1 if better == "higher" else -1
    name, best = max(controls.items(), key=lambda item: sign * item[1])
    found = contrast(seeds)
    value = float(seeds.values.mean())
    half = 0.0 if isinstance(found, str) else found.half_width
    return "" if sign * (value - best) > half else f"{value:.4g}, where {name} gives {best:.4g}"
