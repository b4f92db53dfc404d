"""Whether a number had stopped moving when its training ended: which trainings and metrics are looked at before.

A training that is shorter than the paper's says something of the paper's number only if training on would not have
changed it. So its weights are kept at 4/5 of its rounds, and what stands beside a published value is evaluated there
too. Imports no torch: Snakemake parses this at every call.
"""

from typing import Any

from benchmarks.config.models import Run

WHOLE = 0.999  # of the paper's training images: a batch that does not divide them makes no reduced budget


def share(train: dict[str, Any], run: Run) -> float:
    """Of the paper's training images, those that a training with the settings `train` sees."""
    return train["steps"] * train["batch_size"] / (run.train.steps * run.train.batch_size)


def rounds(train: dict[str, Any], run: Run, dataset: str) -> set[int]:
    """The round at 4/5 of a training with the settings `train`; empty if it is as long as the paper's.

    On data that stand in for the paper's nothing is compared with the paper, and there is none either.
    """
    kept = 4 * train["steps"] // 5
    return {kept} if dataset == run.dataset and share(train, run) < WHOLE and kept else set()
