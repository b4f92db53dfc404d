"""Unnormalised posteriors with no training set. A problem stands where a decoder stands."""

from benchmarks.errors import unknown
from benchmarks.posteriors.eight_schools import EightSchools
from benchmarks.posteriors.toys import Rosenbrock, Torus

PROBLEMS = {"eight-schools": EightSchools, "torus": Torus, "rosenbrock": Rosenbrock}


def problem_named(name: str):
    """A new instance of the problem called `name`."""
    if name not in PROBLEMS:
        raise unknown("problems", "problem", name, PROBLEMS)
    return PROBLEMS[name]()
