"""The YAML files as typed models: runs, networks, datasets, profiles, tables, figures, claims."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from benchmarks.config.declarations import ROOT
from benchmarks.config.yaml_files import load_yaml
from benchmarks.errors import SuiteError, shown, unknown

FOLDER = ROOT / "benchmarks"
OWN_IMAGES = re.compile(r"folder:(?P<path>.+?)(@(?P<side>[1-9]\d*))?")


Size = Annotated[int, Field(gt=0, le=10**9)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Strict(BaseModel):
    """Unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class TrainOptions(Strict):
    """Training settings; see methods.training.trainer.Settings for their meaning."""

    steps: Size
    batch_size: Size
    learning_rate: NonNegativeFloat | dict[str, NonNegativeFloat]
    optimiser: Literal["adam", "rmsprop"] = "adam"
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    simultaneous: bool = False
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    decay_from: float = Field(default=1.0, ge=0, le=1)
    snapshot_every: NonNegativeInt = 0
    validate_every: NonNegativeInt = 0
    patience: NonNegativeInt = 0


class Budget(Strict):
    """What a profile may change of a run: size of the networks, length and rates of training, seeds.

    `why` is shown as a note of the run. `network`: what stands in for the paper's network and why it serves, the
    authors' own code for instance: the paper's numbers are then judged, with these words beside the verdict.
    """

    size: str | None = None
    latent_dim: Size | None = None
    train: dict[str, Any] = {}
    search: dict[str, list[Any]] | None = None
    seeds: Size | None = None
    why: str = ""
    network: str = ""


class Run(Strict):
    """A method on a dataset with networks and hyperparameters, as in the paper.

    `fraction`: share of the training images, the same of every class; `rest`: what becomes of the others.
    `search`: options of the method -> values, each of which is trained; the best on validation data is kept.
    """

    method: str
    dataset: str
    latent_dim: Size
    components: dict[str, str | dict[str, Any]]
    options: dict[str, Any] = {}
    train: TrainOptions
    fraction: float = Field(default=1.0, gt=0, le=1)
    rest: Literal["unused", "unlabelled"] = "unused"
    search: dict[str, list[Any]] = {}
    profiles: dict[str, Budget] = {}
    note: str = ""
    deviations: list[str] = []


class Dataset(Strict):
    """A named dataset or a problem without one; files lie below the data root.

    `pixels`: see methods.training.minibatches.Images. `validation`: how many of the first training images are held out.
    `checksums`: file -> md5 (null: none is published). `substitutes`: a folder or zip of images that is read where
    those files are absent -> the words that mark it in protocol ids. `path`: the folder or zip of images itself, and
    `side`: to which they are cropped and resized. `classifier`: the run that judges samples. `sampler`: what makes a
    problem's reference besides its exact draws.
    """

    kind: Literal["images", "problem"]
    source: str
    x_shape: tuple[NonNegativeInt, ...] = (0,)
    pixels: Literal["binary", "binarised", "grey", "levels"] = "binary"
    validation: NonNegativeInt = 0
    title: str = ""
    latent_dim: Size | None = None
    classifier: str = ""
    size: str = ""
    instructions: str = ""
    checksums: dict[str, str | None] = {}
    substitutes: dict[str, str] = {}
    path: str = ""
    side: PositiveInt | None = None
    sampler: Literal["", "hmc"] = ""

    @property
    def files(self) -> list[str]:
        """What must be on disk; nothing for an embedded dataset."""
        return [*self.checksums, self.path] if self.path else list(self.checksums)

    def present(self, root: Path) -> bool:
        """Whether every file is there."""
        return all((root / file).exists() for file in self.files)

    def substitute(self, root: Path) -> str | None:
        """The substitute to read, where the files are absent and it is there."""
        there = (path for path in self.substitutes if (root / path).exists())
        return None if self.present(root) else next(there, None)

    def state(self, root: Path) -> str:
        """`embedded`, `present`, the words of the substitute that is there, or `absent`."""
        if not self.files:
            return "embedded"
        substitute = self.substitute(root)
        if substitute is not None:
            return self.substitutes[substitute]
        return "present" if self.present(root) else "absent"


class Profile(Strict):
    """How much work and on which data.

    `claim_seeds`: a run has as many seeds as its claims need and as its paper's tables have, but at most so many (0: as
    many as `seeds`). `reference`: draws of a problem's posterior, exact and of HMC, all chains together, of which each
    `thin`-th is kept.
    """

    purpose: str
    size: str = ""
    seeds: Size = 1
    stand_ins: dict[str, str] = {}
    metrics: dict[str, dict[str, Any]] = {}
    like: str | None = None
    max_steps: Size | None = None
    max_seeds: Size | None = None
    claim_seeds: NonNegativeInt = 0
    budget_key: str | None = None
    reference: dict[Literal["exact", "hmc_draws", "chains", "warmup", "thin"], Size] = {
        "exact": 500_000,
        "hmc_draws": 500_000,
        "chains": 40,
        "warmup": 2000,
        "thin": 50,
    }

    @model_validator(mode="after")
    def _whole_chains(self) -> "Profile":
        draws = self.reference
        if draws["hmc_draws"] % (draws["chains"] * draws["thin"]):
            raise ValueError("reference: hmc_draws must be a multiple of chains times thin")
        return self


class Cell(Strict):
    """Part of a cell's address: a row or a column of a table gives a run, a metric, or both.

    `skip`: labels of the columns that stay empty in this row (too costly, and empty in the paper). In a table whose
    every cell is another run, `key` of the row stands for `{row}` in the column's `run`, or `runs` says it by column.
    """

    label: str
    run: str | None = None
    metric: str | list[str] | None = None
    cited: bool = False
    note: str = ""
    skip: list[str] = []
    key: str = ""
    runs: dict[str, str] = {}


def listed(metric: str | list[str] | None) -> list[str]:
    """One name or several, as a list."""
    return [] if metric is None else [metric] if isinstance(metric, str) else metric


class Table(Strict):
    """A table of a paper. `rows_are`: methods to compare on one data set, data sets, or runs on any data.

    `copy_of`: the table whose published values it shows, if this is a copy with rows of a user's own.
    """

    paper: str
    number: str
    title: str
    rows: list[Cell]
    columns: list[Cell]
    rows_are: Literal["methods", "datasets", "runs"] = "methods"
    notes: list[str] = []
    copy_of: str = ""


class Figure(Strict):
    """A figure of a paper: `kind` is a function in benchmarks/report/figures.py."""

    paper: str
    number: str
    title: str
    kind: str
    runs: dict[str, str] = {}
    needs: list[str] = []
    options: dict[str, Any] = {}


class Quantity(Strict):
    """One number of one run: an operand of a claim. `minus`: a run whose number is taken off, seed by seed."""

    run: str
    minus: str | None = None
    metric: str
    detail: str | None = None
    statistic: Literal["mean", "sd over seeds"] = "mean"

    def runs(self) -> list[str]:
        """The runs whose numbers it takes."""
        return [self.run] if self.minus is None else [self.run, self.minus]


class Claim(Strict):
    """A sentence made testable: `greater` > `than` + `by`, or `value` (or the difference) between two bounds.

    `family`: the table or section whose claims are corrected together. `limits`: natural limits of the quantity,
    where they are not the metric's: a bound beyond one is no bound. `paired`: the seed draws something that both runs
    share (the images of a fraction), so that differences are taken seed by seed. `effect` and `sd`: the paper's own
    difference and the spread of one run over seeds, for the power of the claim, where published values do not say
    them; `basis` says where they are from. `seeds`: how many find the effect with probability 0.8 (`plan --claims`
    says so; 0: unknown or more than 100), which a profile with `claim_seeds` trains. `untested`: why the sentence
    cannot be tested here; it then has no quantities. `note`: what to know of it, for instance that the paper's own
    table contradicts it.
    """

    paper: str
    source: str
    family: str
    sentence: str
    greater: Quantity | None = None
    than: Quantity | None = None
    by: float = 0.0
    value: Quantity | None = None
    between: tuple[float, float] | None = None
    limits: tuple[float | None, float | None] | None = None
    paired: bool = False
    effect: float | None = None
    sd: float | None = Field(default=None, gt=0)
    basis: str = ""
    seeds: NonNegativeInt = 0
    untested: str = ""
    note: str = ""

    def quantities(self) -> list[Quantity]:
        """The numbers that it compares."""
        return [quantity for quantity in (self.greater, self.than, self.value) if quantity is not None]

    @model_validator(mode="after")
    def _one_form(self) -> "Claim":
        compares, within = self.greater is not None and self.than is not None, self.value is not None
        if self.untested:
            if self.quantities() or self.between:
                raise ValueError("untested: a sentence that is not tested has no greater, than, value or between")
        elif compares == within or (self.greater is None) != (self.than is None):
            raise ValueError("expected greater and than, or value; or untested: why")
        elif within and self.between is None:
            raise ValueError("between is missing: the bounds within which value is to lie")
        return self


Model = TypeVar("Model", bound=BaseModel)


def validated(where: str, model: type[Model], content: Any) -> Model:
    """`content` as `model`; SuiteError with key, value and nearest accepted key."""
    if not isinstance(content, dict):
        raise SuiteError(f"{where}: expected a mapping, found {shown(content)}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(p) for p in first["loc"])
        if first["type"] == "extra_forbidden":
            owner: Any = model
            for part in first["loc"][:-1]:
                field = owner.model_fields.get(part) if hasattr(owner, "model_fields") else None
                owner = field.annotation if field else owner
            raise unknown(where, "key", first["loc"][-1], getattr(owner, "model_fields", {})) from None
        if first["type"] == "missing":
            raise SuiteError(f"{where}: key {key} is missing; add it") from None
        raise SuiteError(f"{where}: {key} is {shown(first['input'])}: {first['msg']}") from None


def of_papers(kind: str, model: type[Model]) -> dict[str, Model]:
    """All entries of benchmarks/papers/*/<kind>.yml by name; a name may stand only once."""
    found: dict[str, Model] = {}
    for path in sorted((FOLDER / "papers").glob(f"*/{kind}.yml")):
        for name, content in load_yaml(path).items():
            if name in found:
                raise SuiteError(f"{path}: {name} is defined twice; rename one")
            where = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            found[name] = validated(f"{where}: {name}", model, content)
    return found


def load_file(name: str, model: type[Model]) -> dict[str, Model]:
    """All entries of benchmarks/<name>."""
    path = FOLDER / name
    return {key: validated(f"benchmarks/{name}: {key}", model, content) for key, content in load_yaml(path).items()}


def dataset_named(where: str, name: str, known: dict[str, Dataset]) -> Dataset:
    """The dataset called `name`; `folder:<path>` and `folder:<path>@<side>` are anyone's images.

    The path of a folder or a zip is relative to the current folder; with a side, images are cropped and resized to it.
    """
    own = OWN_IMAGES.fullmatch(name)
    if own is not None:
        path, side = Path(own["path"]).expanduser().resolve(), own["side"]
        return Dataset(
            kind="images",
            source="folder",
            pixels="levels",
            title=name,
            path=str(path),
            side=int(side) if side else None,
        )
    if name not in known:
        raise unknown(where, "dataset", name, [*known, "folder:<path>"])
    return known[name]
