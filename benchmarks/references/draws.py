"""Draws of a problem's posterior, for metrics to compare with."""

import time
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.jobs.materials import seed_of
from benchmarks.problems import problem_named
from methods.files import write_arrays


def make_reference(name: str, folder: Path, options: dict[str, Any]) -> dict[str, float]:
    """Draws of a problem's posterior: exact ones, and for Eight Schools HMC's with diagnostics."""
    problem = problem_named(name)
    began = time.monotonic()
    generator = torch.Generator().manual_seed(seed_of(name, 0, "reference"))
    draws = options["exact"]
    exact = problem.exact_draws(draws, generator).numpy()
    arrays: dict[str, numpy.ndarray] = {"exact": exact}
    found: dict[str, float] = {"exact draws": float(draws)}
    if name == "eight-schools":
        from benchmarks.references import hmc

        each = options["hmc_draws"] // options["chains"]
        y, sigma = problem.y.numpy(), problem.sigma.numpy()
        mcmc = hmc.sample(y, sigma, options["chains"], each, options["warmup"], seed=1)
        found |= hmc.diagnostics(mcmc, exact)
        found["log evidence"] = problem.log_evidence()
        arrays["hmc"] = hmc.kept_draws(mcmc, options["thin"], seed=1)
        found["HMC draws"], found["kept HMC draws"] = float(each * options["chains"]), float(len(arrays["hmc"]))
    write_arrays(folder / f"{name}.npz", arrays)
    found["seconds"] = round(time.monotonic() - began, 1)
    return found
