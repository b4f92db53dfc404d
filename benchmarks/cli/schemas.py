"""The command that writes JSON schemas of the YAML files, for editors that check them while one types."""

import argparse
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from benchmarks.cli.common import Add
from benchmarks.config.models import Claim, Dataset, Figure, Profile, Run, Table

KINDS: dict[str, type[BaseModel]] = {
    "runs": Run,
    "tables": Table,
    "figures": Figure,
    "claims": Claim,
    "profiles": Profile,
    "datasets": Dataset,
}


def schemas() -> dict[str, str]:
    """File name -> JSON schema of one kind of YAML file: a mapping of names to the kind's model."""
    found = {}
    for kind, model in KINDS.items():
        content: dict[str, Any] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"vgbench {kind}",
            **TypeAdapter(dict[str, model]).json_schema(),  # type: ignore[valid-type]
        }
        found[f"{kind}.json"] = json.dumps(content, indent=1) + "\n"
    return found


def schema(arguments: argparse.Namespace) -> int:
    """Write a JSON schema for each kind of YAML file into a folder, for editors."""
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in schemas().items():
        (folder / name).write_text(content, encoding="utf-8")
        print(folder / name)
    return 0


def register(add: Add) -> None:
    """The command and its option."""
    add(schema).add_argument("folder", nargs="?", default="benchmarks/schemas")
