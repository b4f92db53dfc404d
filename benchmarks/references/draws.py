"""Draws of a problem's posterior, for metrics to compare with."""

import time
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.jobs.materials import seed_of
from benchmarks.problems import problem_named
from methods.files import write_arrays


def make_reference(name: str, folder: Path, options: dict[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Write `name`.npz with `exact` draws of the posterior, and of Eight Schools `hmc` draws if their checks hold.

    Gives back numbers about them, and rule of HMC -> what is wrong, "" where it holds: nothing can use draws that fail.
    """
    problem = problem_named(name)
    began = time.monotonic()
    generator = torch.Generator().manual_seed(seed_of(name, 0, "reference"))
    exact = problem.exact_draws(options["exact"], generator).numpy()
    arrays: dict[str, numpy.ndarray] = {"exact": exact}
    found: dict[str, float] = {"exact draws": float(len(exact))}
    checks: dict[str, str] = {}
    if name == "eight-schools":
        from benchmarks.references import hmc

        each = options["hmc_draws"] // options["chains"]
        y, sigma = problem.y.numpy(), problem.sigma.numpy()
        chains = hmc.sample(y, sigma, options["chains"], each, options["warmup"], seed=1)
        found |= {"log evidence": problem.log_evidence(), "HMC draws": float(chains.energy.size)}
        found |= hmc.diagnostics(chains, options["thin"], exact)
        checks = hmc.checks(found, options["hmc_draws"] // options["thin"])
        if not any(checks.values()):
            arrays["hmc"] = hmc.kept_draws(chains.z, options["thin"], seed=1)
    write_arrays(folder / f"{name}.npz", arrays)
    found["seconds"] = round(time.monotonic() - began, 1)
    return found, checks
