"""The one schema of results, and files that are either whole or absent."""

import json
import math
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.errors import SuiteError
from methods.training.atomic_files import SUM, DamagedError, content_sum, replacing, require

Status = Literal["ok", "not run", "failed"]
Source = Literal["images", "samples", "draws"]  # of a standard error: see benchmarks.metrics
Kind = Literal["exact", "lower bound", "upper bound", "estimate", "impossible"]


class Record(BaseModel):
    """Base of everything on disk: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class OtherVersionError(DamagedError):
    """A whole record that another version of the suite has written."""

    def __init__(self, path: Path, why: object):
        super().__init__(path, why)
        self.what = f"{path}: written by another version of the suite ({why})"
        self.args = (self.what,)


R = TypeVar("R", bound=Record)


class Result(Record):
    """One metric of one trained run at one round, with its uncertainty: see benchmarks.metrics.trained.Estimate.

    `errors` are the parts of the standard error by what they are over; their squares add up to its square.
    """

    metric: str
    status: Status
    reason: str = ""
    value: float | None = None
    standard_error: float | None = None
    n: int | None = None
    unit: str = ""
    kind: Kind = "estimate"
    protocol: str = ""
    step: int = 0
    seconds: float = 0.0
    details: dict[str, float | str] = {}
    low: float | None = None
    high: float | None = None
    warning: str = ""
    errors: dict[Source, float] = {}
    controls: dict[str, float] = {}

    @model_validator(mode="after")
    def _finite(self) -> "Result":
        numbers = [self.value, self.standard_error, self.low, self.high, *self.details.values()]
        numbers += [*self.errors.values(), *self.controls.values()]
        if any(isinstance(v, float) and not math.isfinite(v) for v in numbers):
            raise ValueError(f"{self.metric}: non-finite number; write status failed with a reason instead")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"{self.metric}: status {self.status!r} needs a reason")
        return self


class MetricFile(Record):
    """`<metric>.json`: the results of one metric (several where snapshots were asked for) and their key.

    `entry` (options and code) and `weights` (their SHA-256) are what the key was made of: they say why it is stale.
    """

    key: str
    entry: dict[str, Any] = {}
    weights: str = ""
    results: list[Result] = Field(min_length=1)


class Evaluation(Record):
    """`metrics.json`: which metric files belong to this run and seed."""

    run: str
    seed: int
    metrics: dict[str, Status]


class RunRecord(Record):
    """`run.json`: how one run and seed was trained.

    `code`: definition -> hash, of all that the training used. `data`: what its data set held
    (benchmarks.store.content).

    `diverged`: the training failed because a loss or a weight was no longer finite, which says something of the method.
    """

    run: str
    seed: int
    profile: str
    status: Status
    reason: str = ""
    diverged: bool = False
    specification: dict[str, Any]
    dataset: str
    code: dict[str, str] = {}
    data: str = ""
    steps: int = 0
    paper_steps: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    peak_memory_mib: float = 0.0
    gpu_seconds: float = 0.0
    peak_gpu_memory_mib: float = 0.0
    energy_kwh: float | None = None
    energy_source: str = ""
    device: str = ""
    hardware: str = ""
    threads: int = 0
    precision: str = ""
    parameters: dict[str, int] = {}
    images: int = 0
    labelled_images: int = 0
    chosen: dict[str, Any] = {}
    search_scores: dict[str, float] = {}
    versions: dict[str, str] = {}
    environment_sha256: str = ""
    commit: str = ""
    dirty: bool | None = None
    data_sha256: str = ""
    identity: str = ""
    weights_sha256: str = ""
    started: str = ""


class Contract(Record):
    """`contract.json`: the contract tests of a user's run, each with what is wrong (empty: it holds).

    `key` is a hash of all that they depend on: see Suite.contract_key.
    """

    run: str
    status: Status
    reason: str = ""
    key: str = ""
    checks: dict[str, str] = {}

    @property
    def failed(self) -> list[str]:
        """A line for each check that failed; the reason where the tests themselves did."""
        lines = [f"{name}: {wrong}" for name, wrong in self.checks.items() if wrong]
        return lines or [self.reason] if self.status == "failed" else []


class Reference(Record):
    """`references/<problem>.json`: the draws of a problem's posterior; further keys are numbers of their diagnostics.

    `checks` are those of a sampler, each with what is wrong (empty: it holds).
    """

    model_config = ConfigDict(extra="allow")

    problem: str = ""
    status: Status = "ok"
    reason: str = ""
    code: dict[str, str] = {}
    checks: dict[str, str] = {}

    @property
    def numbers(self) -> dict[str, float]:
        """The diagnostics."""
        return {name: value for name, value in (self.model_extra or {}).items() if isinstance(value, int | float)}


def canonical(value: Any) -> str:
    """JSON with sorted keys: equal specifications are equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def json_sum(content: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON."""
    return content_sum([("json", canonical(content).encode())])


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON whose last key is the sum of the others. Raises WriteError."""
    with replacing(path) as temporary:
        text = json.dumps({**content, SUM: json_sum(content)}, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote; SuiteError if it is absent, DamagedError if it is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SuiteError(f"{path}: missing; run snakemake to make it") from None
    except (OSError, ValueError) as error:  # no file, perhaps, or another user's
        raise DamagedError(path, error) from None
    if not isinstance(content, dict):
        raise DamagedError(path, "no record")
    require(path, content.pop(SUM, None), json_sum(content))
    return content


def write(path: Path, record: Record) -> None:
    """Write a record as JSON. Raises WriteError."""
    write_json(path, record.model_dump(mode="json"))


def read(path: Path, kind: type[R]) -> R:
    """Read a record; SuiteError if it is absent, DamagedError if it is not what was written.

    OtherVersionError of a whole one with other keys or other values than this version's.
    """
    content = read_json(path)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "file"
        last = list(content)[-1:]
        if last and content[last[0]] == json_sum({key: content[key] for key in content if key != last[0]}):
            raise DamagedError(path, f"key {last[0]!r} in place of {SUM!r}") from None
        raise OtherVersionError(path, f"{place}: {first['msg']}") from None
