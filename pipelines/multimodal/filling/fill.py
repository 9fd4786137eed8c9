"""Fills a JSON Schema's properties from lines, without a model: labels, tables, dates and amounts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from core.kit.errors import CapabilityFailure
from pipelines.multimodal.filling.labels import Match, find
from pipelines.multimodal.filling.tables import find_rows
from pipelines.multimodal.filling.values import kind_of

PROPERTIES_MAX = 64
_DEPTH_MAX = 8
_NODES_MAX = 2000
# A reference may lead anywhere, and a pattern may keep a processor busy for ever.
_REFUSED = frozenset({"$ref", "$dynamicRef", "pattern", "patternProperties"})
_REMEDY = "Give an object schema with `properties`, without $ref and pattern."


def require_schema(schema: Mapping[str, Any]) -> None:
    """Raises `CapabilityFailure` (``schema_invalid``) when `schema` is none, or not one that can be filled."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    properties = schema.get("properties")
    if schema.get("type", "object") != "object" or not isinstance(properties, dict) or not properties:
        _refuse("`fill` must be the JSON Schema of an object with properties.")
    if len(properties) > PROPERTIES_MAX:
        _refuse(f"`fill` has more than {PROPERTIES_MAX} properties.")
    for number, (depth, node) in enumerate(_nodes(schema, 0)):
        if depth > _DEPTH_MAX or number > _NODES_MAX:
            _refuse("`fill` is nested too deeply or too large.")
        if used := _REFUSED & set(node):
            _refuse(f"`fill` uses {min(used)}, which is not read.")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        _refuse(f"`fill` is no JSON Schema: {error.message[:200]}")


def _nodes(node: Any, depth: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if isinstance(node, dict):
        yield depth, node
        if depth <= _DEPTH_MAX * 2:
            for below in node.values():
                yield from _nodes(below, depth + 1)
    elif isinstance(node, list) and depth <= _DEPTH_MAX * 2:
        for below in node:
            yield from _nodes(below, depth + 1)


def _refuse(detail: str) -> NoReturn:
    raise CapabilityFailure(f"{detail} {_REMEDY} (Input field: fill.)", code="schema_invalid")


def fill(schema: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Match | None]:
    """A match, or None, for every property of `schema`. Nested objects are not looked into."""
    found: dict[str, Match | None] = {}
    for name, wanted in schema["properties"].items():
        wanted_schema = wanted if isinstance(wanted, dict) else {}
        kind = kind_of(wanted_schema)
        if kind == "array":
            found[name] = find_rows(wanted_schema, lines)
        else:
            found[name] = None if kind == "object" else find(name, wanted_schema, lines)
    return found


def violations(schema: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """Where `data` does not obey `schema`, at most twenty; optional properties that are null count as left out."""
    from jsonschema import Draft202012Validator

    required = set(schema.get("required", ()))
    present = {name: value for name, value in data.items() if value is not None or name in required}
    errors = Draft202012Validator(schema).iter_errors(present)
    return [
        f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for _, error in zip(range(20), errors, strict=False)
    ]
