"""Training of one run and seed: a failure becomes a record, not a traceback."""

import resource
import shutil
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.config.models import Dataset, dataset_named, load_file
from benchmarks.errors import NotRunError, SuiteError, first_line
from benchmarks.hardware.devices import choose_device, precision_on, prepare
from benchmarks.hardware.provenance import commit, data_sha256, environment_sha256, hardware, versions
from benchmarks.jobs.materials import build, open_data, training_part, validation, with_options
from benchmarks.jobs.search import Setting, search
from benchmarks.store.content import content_of
from benchmarks.store.metric_files import training_faults
from benchmarks.store.records import RunRecord, canonical, read, write
from methods.labels import HIDDEN
from methods.training.atomic_files import DamagedError, WriteError, content_sum, file_sum
from methods.training.checkpoint import load_weights
from methods.training.trainer import Interrupted, NonFiniteLossError

FINISHED = "trained.json"  # the record once more, for a call that was killed before Snakemake took note of run.json


def blank_record(specification: dict[str, Any], seed: int, profile: str, code: dict[str, str], root: Path) -> RunRecord:
    """The record of a training that is about to begin: failed until shown otherwise."""
    head = commit()
    return RunRecord(
        run=specification["run"],
        seed=seed,
        profile=profile,
        status="failed",
        reason="unknown",
        specification=specification,
        dataset=specification["dataset"],
        code=code,
        data=data_of(specification["dataset"], root),
        paper_steps=specification["paper_steps"],
        precision=specification["train"]["precision"],
        versions=versions(),
        environment_sha256=environment_sha256(),
        commit=head,
        dirty=head.endswith("+") if head else None,
        threads=torch.get_num_threads(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def data_of(dataset: str, root: Path) -> str:
    """What the data set holds now, see benchmarks.store.content."""
    return content_of(dataset_named("run", dataset, load_file("datasets.yml", Dataset)), root)


def train_to_end(record: RunRecord, folder: Path, root: Path, device: torch.device, every: float) -> RunRecord:
    """Train what the record describes (or continue) and write its weights; the record, completed."""
    data, problem, images = open_data(record.dataset, root, device)
    record = record.model_copy(update={"data": data_of(record.dataset, root)})  # it may have been fetched just now
    images = training_part(record.specification, images, record.seed)
    prepare(device, record.precision)
    setting = Setting(record, images, problem, validation(record.specification, data), every)
    identity = content_sum([("", canonical(setting.identity(record.specification)).encode())])[:16]
    finished = finished_before(folder, identity)
    if finished is not None:
        print(f"{record.run} seed {record.seed}: trained already, nothing to do (--again compares)", file=sys.stderr)
        return finished
    found = search(setting, folder)
    found |= {
        "identity": identity,
        "status": "ok",
        "reason": "",
        "device": str(device),
        "hardware": hardware(device),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "precision": precision_on(device, record.precision),
        "data_sha256": data_sha256(images),
        "images": len(images),
        "labelled_images": 0 if images.labels is None else int((images.labels != HIDDEN).sum()),
        "weights_sha256": file_sum(folder / "weights.safetensors"),
    }
    record = record.model_copy(update=found)
    write(folder / FINISHED, record)
    for superseded in ("checkpoint", "search"):
        shutil.rmtree(folder / superseded, ignore_errors=True)
    return record


def finished_before(folder: Path, identity: str) -> RunRecord | None:
    """The record of this very training, if it has ended already and its weights are whole."""
    weights = folder / "weights.safetensors"
    try:
        record = read(folder / FINISHED, RunRecord)
    except (SuiteError, DamagedError):
        return None
    whole = record.identity == identity and weights.exists() and file_sum(weights) == record.weights_sha256
    return record if whole and not training_faults(record, folder, contents=True) else None


def train(
    specification: dict[str, Any],
    seed: int,
    profile: str,
    folder: Path,
    *,
    root: Path,
    device_name: str = "auto",
    code: dict[str, str] | None = None,
    checkpoint_seconds: float = 60.0,
) -> RunRecord:
    """Train one run and seed; writes `run.json` whatever happens.

    Raises Interrupted after SIGTERM or Ctrl-C, and WriteError.
    """
    record = blank_record(specification, seed, profile, code or {}, root)
    try:
        record = train_to_end(record, folder, root, choose_device(device_name), checkpoint_seconds)
    except NotRunError as reason:
        record = record.model_copy(update={"status": "not run", "reason": str(reason)})
    except (Interrupted, WriteError):
        raise
    except SystemExit as end:
        record = record.model_copy(update={"reason": f"the method ended the process: sys.exit({end.code!r})"})
    except Exception as error:  # a user's method may raise anything
        if not isinstance(error, SuiteError | DamagedError | NonFiniteLossError):
            traceback.print_exc()
        update = {
            "reason": f"{type(error).__name__}: {first_line(error)}",
            "diverged": isinstance(error, NonFiniteLossError),
        }
        record = record.model_copy(update=update)
    write(folder / "run.json", record)
    return record


def load_trained(record: RunRecord, folder: Path, root: Path, device: torch.device):
    """(method, data, problem) of a finished run; SuiteError if the weights are not those it wrote."""
    weights = folder / "weights.safetensors"
    if not weights.exists() or file_sum(weights) != record.weights_sha256:
        raise SuiteError(
            f"{weights}: missing or not the file that run.json describes; the next call of snakemake trains again"
        )
    data, problem, images = open_data(record.dataset, root, device)
    method = build(with_options(record.specification, record.chosen), images, problem, record.seed)
    load_weights(weights, method)
    return method.eval(), data, problem
