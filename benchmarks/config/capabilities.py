"""What metrics may ask of a run: its method's answers, those of its parts, and what its data add."""

from typing import Any

from benchmarks.config import declarations
from benchmarks.config.declarations import Declared
from benchmarks.config.models import Dataset


def named(where: str, target: str) -> Declared:
    """The class at `module:Class` of methods/, or at `file.py:Class`."""
    module, name = target.rsplit(":", 1)
    return declarations.component_class(where, target if module.endswith(".py") else name)


def answers(where: str, method: Declared, components: dict[str, Any]) -> set[str]:
    """What the class provides, and what those of its components provide whose answers it passes on."""
    found = set(method.provides())
    for role in method.literals.get("wraps", ()):
        inner = components[role]
        found |= answers(where, named(where, inner["class"]), inner)
    return found


def provides(found: set[str], dataset: Dataset, latent_dim: int) -> set[str]:
    """The questions that metrics may ask of a method on this dataset; a problem has no decoder of images."""
    if dataset.kind == "problem":
        return (found - {"decoder"}) | {"problem"}
    if "decoder" in found:  # its means are images
        found |= {"sample", "reconstruct"} if "encode" in found else {"sample"}
    if dataset.classifier:
        found.add("classifier")
    return found | {"data"} | ({"latent_2d"} if latent_dim == 2 else set())
