"""Builds networks and methods from a resolved specification.

A component is `{"class": "module:Class", option: value, ...}`; options that are themselves components are
built first; `copies: n` builds n of them, each with its own start, as a ModuleList. `x_shape`, `latent_dim` and
`in_shape` are filled in from the data where a constructor has them.

With seeds, each component draws its initial weights under a seed of its own, which depends on its role and description
only: a generator begins with the same weights in every method that has it.
"""

import importlib
import importlib.util
import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from methods.method import Method

FROM_Z = ("decoder", "generator", "generators")  # the components whose input is a code


def class_named(path: str) -> type:
    """The class at `module:Class`, or at `file.py:Class` of a user, whose file may import what lies beside it."""
    module_name, class_name = path.rsplit(":", 1)
    if module_name.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(module_name).stem, module_name)
        if spec is None or spec.loader is None:
            raise ValueError(f"{module_name}: cannot be imported")
        folder = str(Path(module_name).resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)  # at the end: nothing there takes the place of an installed package
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(module_name)
    return getattr(module, class_name)


def portable(description: Any) -> Any:
    """The description with the names of classes alone: where they are defined changes no initial weights."""
    if not isinstance(description, dict):
        return description
    return {key: value.rpartition(":")[2] if key == "class" else portable(value) for key, value in description.items()}


class Starts:
    """Seeds PyTorch for the initial weights of one part after the other.

    `seed_of` turns the name of a part into its seed; None leaves the random numbers as they are. Copies, and other
    parts of the same role and description, are counted, and start differently.
    """

    def __init__(self, seed_of: Callable[[str], int] | None = None):
        self.seed_of = seed_of
        self.begun: Counter[str] = Counter()

    def begin(self, role: str, description: dict[str, Any]) -> None:
        """To be called just before the part's constructor, when its own components are built."""
        if self.seed_of is None:
            return
        name = f"{role}/{json.dumps(portable(description), sort_keys=True)}"
        torch.manual_seed(self.seed_of(f"{name}/{self.begun[name]}"))
        self.begun[name] += 1


def build_component(description: dict[str, Any], context: dict[str, Any], starts: Starts, role: str) -> Any:
    """An instance of `description["class"]`, nested components first; `role` is the path of roles that leads to it.

    The path begins anew in a nested method, so that its components have the roles that they have in the method alone.
    """
    if "copies" in description:
        single = {key: value for key, value in description.items() if key != "copies"}
        return nn.ModuleList(build_component(single, context, starts, role) for _ in range(description["copies"]))
    cls = class_named(description["class"])
    options = {key: value for key, value in description.items() if key != "class"}
    nested = {key: value for key, value in options.items() if isinstance(value, dict) and "class" in value}
    plain = {key: value for key, value in options.items() if key not in nested}
    if issubclass(cls, Method):
        return assemble(cls, nested, plain, context, starts)
    if hasattr(cls, "widens_input"):  # by noise of its own, which its parts see beside the code
        context = {**context, "in_shape": (context["in_shape"][0] + plain[cls.widens_input],)}
    parts = {key: build_component(value, context, starts, f"{role}.{key}") for key, value in nested.items()}
    wanted = inspect.signature(cls).parameters
    starts.begin(role, description)
    return cls(**{k: v for k, v in context.items() if k in wanted}, **parts, **plain)


def build_parts(
    cls: type, descriptions: dict[str, Any], options: dict[str, Any], context: dict[str, Any], starts: Starts
) -> dict[str, Any]:
    """The components of a method, each told what comes in: an image or a code, and a class where it is given one."""
    classes = options.get("classes", getattr(inspect.signature(cls).parameters.get("classes"), "default", 0))
    channels, *sides = context["x_shape"]
    parts = {}
    for role, description in descriptions.items():
        told = classes if role in getattr(cls, "conditional", ()) else 0
        in_shape = (context["latent_dim"] + told,) if role in FROM_Z else (channels + told, *sides)
        parts[role] = build_component(description, {**context, "in_shape": in_shape}, starts, role)
    if "latent_dim" in inspect.signature(cls).parameters:
        parts["latent_dim"] = context["latent_dim"]
    return parts


def assemble(
    cls: type,
    descriptions: dict[str, Any],
    options: dict[str, Any],
    context: dict[str, Any],
    starts: Starts,
    **given: Any,
) -> Method:
    """A method of components that are built here, and of those that are `given`.

    What its constructor makes itself starts the same in every method, that of a nested method as that of it alone.
    """
    parts = build_parts(cls, descriptions, options, context, starts) | given
    starts.begin("the method's own", {})
    return cls(**parts, **options)


def build_method(
    specification: dict[str, Any],
    x_shape: tuple[int, ...],
    problem: Any = None,
    seed_of: Callable[[str], int] | None = None,
) -> Method:
    """The method of a resolved run, on data of shape `x_shape`; a problem takes the decoder's place.

    `seed_of` gives the seed of each part's initial weights by its name; without it they are the next random numbers.
    """
    context = {"x_shape": tuple(x_shape), "latent_dim": specification["latent_dim"]}
    given = {} if problem is None else {"decoder": problem}
    cls, options = class_named(specification["method"]), specification["options"]
    return assemble(cls, specification["components"], options, context, Starts(seed_of), **given)
