"""Entries of YAML files with one mistake each, drawn from the schema of their model (hypothesis)."""

import copy
import datetime
import math
from typing import Any

from hypothesis import strategies as st

JUNK = {
    "string": "zzz",
    "number": 7.5,
    "array": [["zzz"]],
    "object": {"zzz": {"y": [1]}},
    "null": None,
    "date": datetime.date(2020, 1, 1),
}
NUMBERS = (math.nan, math.inf, -math.inf, -1, 10**30)


def resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema itself where this is a reference to one."""
    return definitions[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def choices(schema: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of which a value must fit one."""
    schema = resolved(schema, definitions)
    return [c for option in schema["anyOf"] for c in choices(option, definitions)] if "anyOf" in schema else [schema]


def fits(value: float, schema: dict[str, Any]) -> bool:
    """Whether a number is within the bounds of a schema."""
    low, high = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    return low < value < high and schema.get("minimum", value) <= value <= schema.get("maximum", value)


def wrong_values(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Values that the schema refuses, by name."""
    options = choices(schema, definitions)
    allowed = {option.get("type", "any") for option in options}
    if "any" in allowed:
        return {}
    numeric = [option for option in options if option["type"] in ("number", "integer")]
    found = {kind: value for kind, value in JUNK.items() if kind not in allowed}
    if "number" in allowed and all(fits(JUNK["number"], o) for o in numeric):
        found.pop("number", None)
    if numeric:
        found |= {str(n): n for n in NUMBERS if not any(fits(n, option) for option in numeric)}
    if any("enum" in option for option in options):
        found["other"] = "zzz"
    return found


def places(schema: dict[str, Any], content: Any, definitions: dict[str, Any], path: tuple = ()) -> list[tuple]:
    """(path, schema) of every value of `content` that the schema describes."""
    schema = resolved(schema, definitions)
    found = [(path, schema)] if path else []
    if isinstance(content, dict):
        others = schema.get("additionalProperties")
        for key, value in content.items():
            inner = schema.get("properties", {}).get(key) or others
            if isinstance(inner, dict):
                found += places(inner, value, definitions, (*path, key))
    if isinstance(content, list) and isinstance(schema.get("items"), dict):
        for index, value in enumerate(content):
            found += places(schema["items"], value, definitions, (*path, index))
    return found


def put(content: Any, path: tuple, value: Any) -> Any:
    """A copy with the value at `path` replaced."""
    changed = copy.deepcopy(content)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@st.composite
def bad_entries(draw, model: Any, good: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """(an entry with one mistake, the key that the message must name)."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    every = places(schema, good, definitions)
    mistake = draw(st.sampled_from(("value", "value", "value", "unknown key", "misspelt key", "missing key")))
    if mistake == "missing key":
        key = draw(st.sampled_from(sorted(schema["required"])))
        return {k: v for k, v in good.items() if k != key}, key
    if mistake in ("unknown key", "misspelt key"):
        mappings = [((), schema)] + [
            (p, s) for p, s in every if s.get("additionalProperties") is False and "properties" in s
        ]
        path, inner = draw(st.sampled_from(mappings))
        name = "zzz" if mistake == "unknown key" else draw(st.sampled_from(sorted(inner["properties"]))) + "q"
        return put(good, (*path, name), 1), name
    path, inner = draw(st.sampled_from(every))
    wrong = wrong_values(inner, definitions)
    if not wrong:  # anything may stand there
        return put(good, ("zzz",), 1), "zzz"
    value = wrong[draw(st.sampled_from(sorted(wrong)))]
    return put(good, path, value), str(path[0])
