"""A quantity of a claim, a place or a comparison by training seed, read from the table of results."""

import json
import math
from pathlib import Path
from typing import Any

import numpy
import pandas

from benchmarks.config import declarations
from benchmarks.config.models import Quantity
from benchmarks.statistics.inference import Seeds, contrast, paired
from benchmarks.store.metric_files import per_image_values

COLUMNS = ("low", "high", "errors", "controls", "diverged", "train_status", "n", "profile")  # older results lack some
RESULTS = Path("results")


def rows_of(frame: pandas.DataFrame, run: str, metric: str) -> pandas.DataFrame:
    """The last round's rows of one run and metric, by seed, with every column."""
    rows = frame.loc[(frame.run == run) & (frame.metric == metric) & frame.final].set_index("seed").sort_index()
    return rows.reindex(columns=list(dict.fromkeys([*rows.columns, *COLUMNS])))


def number_in(text: object, key: str, missing: float = 0.0) -> float:
    """A number of a JSON object in a cell of the table of results."""
    return float(json.loads(text).get(key, missing)) if isinstance(text, str) else missing


def literals_of(metric: str) -> dict[str, Any]:
    """What the metric's file declares; nothing of a metric that there is no more."""
    declared = declarations.metrics().get(metric)
    return declared.literals if declared is not None else {}


def step_of(metric: str, n: object, detail: str | None = None) -> float:
    """The least amount by which a share of n things moves, the metric's value or a detail; 0 of anything else."""
    literals = literals_of(metric)
    shares = detail is None or detail in literals.get("step_details", ())
    whole = literals.get("step", 0.0) if shares else 0.0
    return float(whole) / float(n) if whole and n and not pandas.isna(n) else 0.0  # type: ignore[arg-type]


def of_folder(folder: Path, metric: str) -> numpy.ndarray | None:
    """Each test image's share in a value [n], of a root of a mean square to first order; None where it was not kept."""
    values = per_image_values(folder, metric)
    if values is not None and literals_of(metric)["per_image"] == "squares":
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
    step = step_of(quantity.metric, good.n.iloc[0], quantity.detail) if len(good) else 0.0
    images = [number_in(text, "images") for text in good.errors]
    images_error = float(numpy.mean(images)) if images else 0.0
    if quantity.detail is not None:  # of the same images as the value, and taken to have its error
        detail = quantity.detail
        values = good.details.map(lambda text: number_in(text, detail, math.nan)).astype(float).dropna()
        return Seeds(values, values, values, step, trainings, int(failed.sum()), diverged, None, images_error)
    value, low, high = (good[name].astype(float) for name in ("value", "low", "high"))
    high = high.where(high.notna(), value.where(low.isna(), math.inf))  # above a bound nothing is known
    return Seeds(
        value,
        low.where(low.notna(), value),
        high,
        step,
        trainings,
        int(failed.sum()),
        diverged,
        images_of(good, quantity.run, quantity.metric) if any(images) else None,
        images_error,
    )


def limits_of(metric: str) -> tuple[float, float]:
    """Natural limits of a metric; infinite where there are none."""
    low, high = literals_of(metric).get("limits", (None, None))
    return (-math.inf if low is None else float(low)), (math.inf if high is None else float(high))


def better_of(quantity: Quantity) -> str:
    """`higher`, `lower` or `neither`."""
    literals = literals_of(quantity.metric)
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


def skill_of(quantity: Quantity) -> str:
    """On which side of the controls skill lies: `higher`, `lower` or `neither`; the better one if not said."""
    literals = literals_of(quantity.metric)
    return str(literals["skill"]) if quantity.detail is None and "skill" in literals else better_of(quantity)


def at_chance(frame: pandas.DataFrame, quantity: Quantity) -> str:
    """The control that the quantity is not shown to be better than, with its value; empty where it is.

    A difference of two runs is at chance where both are.
    """
    if quantity.minus is not None:
        runs = (quantity.model_copy(update={"run": run, "minus": None}) for run in quantity.runs())
        found = [at_chance(frame, run) for run in runs]
        return "; ".join(found) if all(found) else ""
    controls, seeds, skill = controls_of(frame, quantity), seeds_of(frame, quantity), skill_of(quantity)
    if not controls or not len(seeds) or skill == "neither":
        return ""
    sign = 1 if skill == "higher" else -1
    name, best = max(controls.items(), key=lambda item: sign * item[1])
    found = contrast(seeds)
    value = float(seeds.values.mean())
    half = 0.0 if isinstance(found, str) else found.half_width
    return "" if sign * (value - best) > half else f"{value:.4g}, where {name} gives {best:.4g}"


def unlike_data(frame: pandas.DataFrame, quantity: Quantity) -> str:
    """How samples that look no more like data than a control does are said to; empty where they are, or it is unknown.

    Only of a metric that noise can satisfy (sharpness), whose LIKE_DATA names the one to ask.
    """
    judge = literals_of(quantity.metric).get("like_data")
    found = at_chance(frame, Quantity(run=quantity.run, metric=judge)) if judge else ""
    return f"{judge} of {quantity.run} is {found}" if found else ""
