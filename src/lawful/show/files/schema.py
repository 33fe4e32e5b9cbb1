"""What is read back is checked against its published JSON Schema before anything is made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


@lru_cache
def schema(name: str) -> Mapping[str, Any]:
    """
    Return a published schema: ``fit-1``, ``forecast-1``, ``study-1`` or ``chunk-1``.

    Examples
    --------
    >>> schema("chunk-1")["required"]
    ['schema', 'tables', 'wall', 'cpu', 'seal']
    """
    text = files("lawful.show").joinpath("schemas", f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def mismatch(document: Any, name: str) -> str:
    """
    Say where a document first departs from a schema; an empty text where it does not.

    The part of JSON Schema that the published ones use is understood, and nothing else.

    Parameters
    ----------
    document : any JSON value
    name : str
        As :func:`schema` takes it.

    Examples
    --------
    >>> tables = {"a": {"x": [[1]]}}
    >>> mismatch({"schema": "lawful.chunk/1", "tables": tables, "wall": 1, "cpu": 2, "seal": ""}, "chunk-1")
    'tables.a.x[0] is of the wrong type'
    """
    root = schema(name)
    return _differs(document, root, root, "")


def _differs(value: Any, rule: Mapping[str, Any], root: Mapping[str, Any], place: str) -> str:
    """Return the first departure of a value from a rule."""
    if "$ref" in rule:
        return _differs(value, root["$defs"][rule["$ref"].rpartition("/")[2]], root, place)
    if "anyOf" in rule:
        found = [_differs(value, one, root, place) for one in rule["anyOf"]]
        # The deepest departure is that of the alternative that was meant.
        return "" if "" in found else max(found, key=lambda text: len(text.partition(" ")[0]))
    wrong = _value_differs(value, rule)
    if wrong:
        return f"{place.lstrip('.') or 'the document'} {wrong}"
    if isinstance(value, dict):
        return _differs_inside(value, rule, root, place)
    if isinstance(value, list):
        inner = rule.get("items", {})
        return next((s for i, item in enumerate(value) if (s := _differs(item, inner, root, f"{place}[{i}]"))), "")
    return ""


def _value_differs(value: Any, rule: Mapping[str, Any]) -> str:
    """Say how a value departs from a rule, whatever is inside it."""
    if "type" in rule and not _is_of(value, rule["type"]):
        return "is of the wrong type"
    if ("const" in rule and value != rule["const"]) or ("enum" in rule and value not in rule["enum"]):
        return "has an unknown value"
    if "minimum" in rule and value < rule["minimum"]:
        return f"is below {rule['minimum']}"
    if "pattern" in rule and not re.search(rule["pattern"], value):
        return "is not of the form it should be"
    if isinstance(value, list) and not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)):
        return f"has {len(value)} entries"
    return ""


def _differs_inside(value: Mapping[str, Any], rule: Mapping[str, Any], root: Mapping[str, Any], place: str) -> str:
    """Return the first departure among the entries of an object."""
    missing = [key for key in rule.get("required", ()) if key not in value]
    if missing:
        return f"{place}.{missing[0]}".lstrip(".") + " is missing"
    known, other = rule.get("properties", {}), rule.get("additionalProperties", {})
    return next(
        (s for key, item in value.items() if (s := _differs(item, known.get(key, other), root, f"{place}.{key}"))), ""
    )


def _is_of(value: Any, wanted: str | list[str]) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    # In Python a truth value is a whole number; in JSON it is not.
    return any(isinstance(value, TYPES[n]) and (n == "boolean" or not isinstance(value, bool)) for n in names)
