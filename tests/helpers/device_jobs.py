"""Which metrics to try with which runs, and trainings of two rounds for them."""

from functools import cache, partial
from pathlib import Path

import torch

from benchmarks.config import declarations
from benchmarks.jobs import evaluate, training
from benchmarks.metrics.trained import Trained
from benchmarks.posteriors import PROBLEMS
from benchmarks.store.metric_files import classifier_folder
from benchmarks.store.records import Result, RunRecord
from methods.training.atomic_files import write_arrays
from tests.helpers.small import SUITE

OF_IMAGES = {"sample", "reconstruct", "decoder", "data", "classifier"}  # `pairs` tries one method with these
PIXEL_BY_PIXEL = ("PixelCNN", "PixelRNN")  # whose draws take long
COST = {"patches": 2, "4-point": 3, "patches-64": 4, "eight-schools": 1, "torus": 1, "rosenbrock": 1}  # of a dataset


def pairs() -> list[tuple[str, str]]:
    """(metric, run): every metric for a run of each method for which it is asked and that serves it; for one method, if
    the metric looks at no more than what `test_what_evaluation_asks_stays_on_the_device` makes, or at a decoder.
    """
    runs = sorted(SUITE.runs, key=lambda run: COST.get(SUITE.dataset_of(run)[0], 0))
    unasked = set(declarations.metrics()) - {metric for run in runs for metric in SUITE.metric_options(run)}
    found: dict[str, dict[str, str]] = {}
    for run in runs:
        name = SUITE.method_of(run).name
        for metric in filter(partial(SUITE.serves, run), {*SUITE.metric_options(run), *unasked}):
            needs = set(declarations.metrics()[metric].literals.get("needs", ()))
            again = needs <= OF_IMAGES or SUITE.dataset_of(run)[0] == "4-point"  # which has many draws of each image
            if not (again and metric in found) and not ("sample" in needs and name in PIXEL_BY_PIXEL):
                found.setdefault(metric, {}).setdefault(name, run)
    return sorted((metric, run) for metric, chosen in found.items() for run in chosen.values())


class Jobs:
    """Trainings of two rounds on the CPU, and what evaluation opens of them."""

    def __init__(self, folder: Path):
        self.folder, self.references = folder, folder / "references"
        self.root = Path("data")
        for name, problem in PROBLEMS.items():
            draws = problem().exact_draws(2000, torch.Generator().manual_seed(0)).numpy()
            write_arrays(self.references / f"{name}.npz", {"exact": draws, "hmc": draws})

    @cache  # noqa: B019
    def trained(self, run: str, folder: Path) -> RunRecord:
        """The record of a training."""
        specification = SUITE.specification(run)
        train = {**specification["train"], "steps": 2, "snapshots": [], "validate_every": 0}
        few = {key: 1 for key in ("critic_steps", "extra_steps") if key in SUITE.method_of(run).parameters}
        specification = {**specification, "train": train, "options": {**specification["options"], **few}}
        folder.mkdir(parents=True)
        record = training.train(specification, 0, "smoke", folder, root=self.root, device_name="cpu")
        assert record.status == "ok", record.reason
        return record

    @cache  # noqa: B019
    def classifier(self, folder: Path) -> None:
        """The classifier that judges a dataset's samples, with its accuracy."""
        run, where = folder.parent.name, {"root": self.root, "references": self.references}
        self.trained(run, folder)
        evaluate.compute({"accuracy": SUITE.metric_options(run)["accuracy"]}, folder, **where, device_name="cpu")
        (folder / "metrics.json").write_text("{}")

    def opened(self, run: str, device: str) -> Trained:
        """What a metric is given."""
        folder = self.folder / run / "seed0"
        record = self.trained(run, folder)
        judge = classifier_folder(record.dataset, self.references)
        if judge is not None:
            self.classifier(judge)
        return evaluate.open_trained(record, folder, self.root, self.references, torch.device(device))

    def result(self, metric: str, run: str, device: str) -> Result:
        """The metric's result; an error is a result too."""
        options = SUITE.profile.metrics.get(metric, {})
        return evaluate.run_metric(declarations.metrics()[metric], self.opened(run, device), options, 2, 0)
