"""Builds networks and methods from a resolved specification.

A component is `{"class": "module:Class", option: value, ...}`; options that are themselves components are
built first; `copies: n` builds n of them, each with its own start, as a ModuleList. `x_shape`, `latent_dim` and
`in_shape` are filled in from the data where a constructor has them.
"""

import importlib
import importlib.util
import inspect
from pathlib import Path
from typing import Any

from torch import nn

from methods.method import Method

FROM_Z = ("decoder", "generator", "generators")  # the components whose input is a code


def class_named(path: str) -> type:
    """The class at `module:Class`, or at `file.py:Class` for a user's own file."""
    module_name, class_name = path.rsplit(":", 1)
    if module_name.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(module_name).stem, module_name)
        if spec is None or spec.loader is None:
            raise ValueError(f"{module_name}: cannot be imported")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(module_name)
    return getattr(module, class_name)


def build_component(description: dict[str, Any], context: dict[str, Any]) -> Any:
    """An instance of `description["class"]`, nested components first."""
    if "copies" in description:
        single = {key: value for key, value in description.items() if key != "copies"}
        return nn.ModuleList(build_component(single, context) for _ in range(description["copies"]))
    cls = class_named(description["class"])
    options = {key: value for key, value in description.items() if key != "class"}
    nested = {key: value for key, value in options.items() if isinstance(value, dict) and "class" in value}
    plain = {key: value for key, value in options.items() if key not in nested}
    if issubclass(cls, Method):
        return cls(**build_parts(cls, nested, plain, context), **plain)
    if hasattr(cls, "widens_input"):  # by noise of its own, which its parts see beside the code
        context = {**context, "in_shape": (context["in_shape"][0] + plain[cls.widens_input],)}
    parts = {key: build_component(value, context) for key, value in nested.items()}
    wanted = inspect.signature(cls).parameters
    return cls(**{k: v for k, v in context.items() if k in wanted}, **parts, **plain)


def build_parts(
    cls: type, descriptions: dict[str, Any], options: dict[str, Any], context: dict[str, Any]
) -> dict[str, Any]:
    """The components of a method, each told what comes in: an image or a code, and a class where it is given one."""
    classes = options.get("classes", getattr(inspect.signature(cls).parameters.get("classes"), "default", 0))
    channels, *sides = context["x_shape"]
    parts = {}
    for role, description in descriptions.items():
        told = classes if role in getattr(cls, "conditional", ()) else 0
        in_shape = (context["latent_dim"] + told,) if role in FROM_Z else (channels + told, *sides)
        parts[role] = build_component(description, {**context, "in_shape": in_shape})
    if "latent_dim" in inspect.signature(cls).parameters:
        parts["latent_dim"] = context["latent_dim"]
    return parts


def build_method(specification: dict[str, Any], x_shape: tuple[int, ...], problem: Any = None) -> Method:
    """The method of a resolved run, on data of shape `x_shape`; a problem takes the decoder's place."""
    context = {"x_shape": tuple(x_shape), "latent_dim": specification["latent_dim"]}
    cls, options = class_named(specification["method"]), specification["options"]
    parts = build_parts(cls, specification["components"], options, context)
    if problem is not None:
        parts["decoder"] = problem
    return cls(**parts, **options)
