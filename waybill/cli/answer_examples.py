"""The command that answers a question, with a value that fits the question's schema."""

import json
import shlex
from collections.abc import Mapping
from typing import Any, Protocol

_TEXT = "…"
_DEPTH_MAX = 10
_LENGTH_MAX = 100


class Asked(Protocol):
    """The part of a question that is used here."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def answer_schema(self) -> dict[str, Any]:
        """The JSON Schema of its answer."""


def answer_command(job_id: str, question: Asked) -> str:
    """The command that answers `question`."""
    value = json.dumps(example_of(question.answer_schema), ensure_ascii=False)
    return f"waybill jobs answer {job_id} {shlex.quote(value)} --key {shlex.quote(question.key)}"


def example_of(schema: Any) -> Any:
    """A short value for a JSON Schema: only what it requires, and yes where it asks for yes or no."""
    return _example(schema, schema, _DEPTH_MAX)


def _example(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth == 0:
        return _TEXT
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if "$ref" in schema:
        return _example(_referred(str(schema["$ref"]), root), root, depth - 1)
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return _example(schema[name][0], root, depth - 1)
    return _of_kind(schema, root, depth)


def _of_kind(schema: Mapping[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    properties = schema.get("properties") or {}
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            shown = schema.get("required") or list(properties)[:1]
            return {name: _example(properties.get(name), root, depth - 1) for name in shown}
        case "array":
            return [_example(schema.get("items"), root, depth - 1)] * min(_LENGTH_MAX, int(schema.get("minItems", 0)))
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", schema.get("maximum", 1))
        case "null":
            return None
        case _:
            return _TEXT * min(_LENGTH_MAX, max(1, int(schema.get("minLength", 1))))


def _referred(reference: str, root: Any) -> Any:
    found = root
    for name in reference.removeprefix("#/").split("/"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
