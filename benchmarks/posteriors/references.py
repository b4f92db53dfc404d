"""Draws of a problem's posterior, for metrics to compare with."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.posteriors import problem_named
from methods.training.atomic_files import write_arrays
from methods.training.seeds import seed_of


@dataclass(frozen=True)
class Draws:
    """Kind -> draws [n, latent]; numbers about them; rule of a sampler -> what is wrong, "" where it holds."""

    arrays: dict[str, numpy.ndarray]
    numbers: dict[str, float] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)


def exact_draws(name: str, options: dict[str, Any]) -> Draws:
    """Exact draws of the posterior called `name`."""
    generator = torch.Generator().manual_seed(seed_of(name, 0, "reference"))
    exact = problem_named(name).exact_draws(options["exact"], generator).numpy()
    return Draws({"exact": exact}, {"exact draws": float(len(exact))})


def hmc_draws(name: str, options: dict[str, Any], exact: numpy.ndarray) -> Draws:
    """Draws by HMC, if their checks hold, compared with exact ones: nothing can use draws that fail."""
    from benchmarks.posteriors import hmc

    problem = problem_named(name)
    each = options["hmc_draws"] // options["chains"]
    y, sigma = problem.y.numpy(), problem.sigma.numpy()
    chains = hmc.sample(y, sigma, options["chains"], each, options["warmup"], seed=1)
    numbers = {"log evidence": problem.log_evidence(), "HMC draws": float(chains.energy.size)}
    numbers |= hmc.diagnostics(chains, options["thin"], exact)
    checks = hmc.checks(numbers, options["hmc_draws"] // options["thin"])
    kept = {} if any(checks.values()) else {"hmc": hmc.kept_draws(chains.z, options["thin"], seed=1)}
    return Draws(kept, numbers, checks)


def make_reference(name: str, folder: Path, options: dict[str, Any], sampler: str = "") -> Draws:
    """Write `name`.npz with `exact` draws of the posterior, and `hmc` draws where the problem's sampler is `hmc`."""
    began = time.monotonic()
    found = exact_draws(name, options)
    if sampler == "hmc":
        more = hmc_draws(name, options, found.arrays["exact"])
        found = Draws(found.arrays | more.arrays, found.numbers | more.numbers, more.checks)
    write_arrays(folder / f"{name}.npz", found.arrays)
    return replace(found, numbers=found.numbers | {"seconds": round(time.monotonic() - began, 1)})
