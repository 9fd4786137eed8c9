"""Checks custom resources against their definitions, refusing keys that the definitions do not know."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).with_name("definitions")
_OPEN = "x-kubernetes-preserve-unknown-fields"


@cache
def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """The schemas by API version and kind."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        spec = json.loads(path.read_text(encoding="utf-8"))["spec"]
        for version in spec["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def faults(manifest: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a resource, a line for each; nothing when its kind has no definition here."""
    schema = schemas().get((manifest["apiVersion"], manifest["kind"]))
    if schema is not None:
        for error in Draft202012Validator(schema).iter_errors(manifest):
            yield f"{manifest['kind']} {error.json_path}: {error.message[:200]}"


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    # A key that the API server would drop without a word is a fault here. Only the structural part of a definition
    # (properties, items, additionalProperties) names keys; what stands in anyOf and its kin repeats some of them.
    if "properties" in schema and not schema.get(_OPEN):
        schema.setdefault("additionalProperties", False)
    for nested in schema.get("properties", {}).values():
        _strict(nested)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _strict(schema[key])
    return schema
