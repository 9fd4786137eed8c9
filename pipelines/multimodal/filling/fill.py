"""Fills a JSON Schema's properties from lines, without a model: labels, tables, dates and amounts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from core.kit.errors import CapabilityFailure
from pipelines.multimodal.filling.bills import Paper, fits
from pipelines.multimodal.filling.certainty import SURE_ENOUGH
from pipelines.multimodal.filling.items import find_items
from pipelines.multimodal.filling.kinds import Kind, kind_of_field
from pipelines.multimodal.filling.labels import Match, find, words_of
from pipelines.multimodal.filling.tables import find_rows
from pipelines.multimodal.filling.values import kind_of, without_null

PROPERTIES_MAX = 64
_DEPTH_MAX = 8
_NODES_MAX = 2000
# A reference may lead anywhere, and a pattern may keep a processor busy forever.
_REFUSED = frozenset({"$ref", "$dynamicRef", "pattern", "patternProperties"})
NOT_FOUND = "not found in the files"
MISSING = {
    Kind.TOTAL: "no line calls an amount the total",
    Kind.DATE: "no date, or only others than the document's own",
    Kind.SELLER: "no line at its head looks like a company's name",
    Kind.ADDRESS: "no lines look like the seller's address",
    Kind.CURRENCY: "no amount has a currency beside it",
}
_REMEDY = "Give an object schema with `properties`, without $ref and pattern."


def require_schema(schema: Mapping[str, Any]) -> None:
    """Raise `CapabilityFailure` (``schema_invalid``) when `schema` is invalid, or cannot be filled."""
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


def fill(schema: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Match]:
    """The value found for every property of `schema`; one that is not certain enough is None, with a note."""
    paper = Paper(lines)
    return {
        name: _sure(_find(name, wanted if isinstance(wanted, dict) else {}, paper), name, wanted)
        for name, wanted in schema["properties"].items()
    }


def _find(name: str, schema: Mapping[str, Any], paper: Paper) -> Match | None:
    schema = without_null(schema)
    kind = kind_of_field(name, schema)
    if kind is not None and fits(kind, schema):
        return paper.find(kind, schema)
    match kind_of(schema):
        case "array":
            return find_rows(schema, paper.lines) or find_items(schema, paper.lines)
        case "object":
            return _find_object(name, schema, paper)
        case "string" if "address" in words_of(name):
            return paper.address_of(words_of(name)) or find(name, schema, paper.lines)
        case _:
            return find(name, schema, paper.lines)


def _find_object(name: str, schema: Mapping[str, Any], paper: Paper) -> Match | None:
    """The properties of an object, looked for as ``seller_name`` and ``seller_address`` would be."""
    found = {
        below: _sure(_find(f"{name}_{below}", wanted if isinstance(wanted, dict) else {}, paper), below, wanted)
        for below, wanted in schema.get("properties", {}).items()
    }
    sure = [match for match in found.values() if match.value is not None]
    if not sure:
        return None
    lines = sorted({line for match in sure for line in match.lines})
    return Match(
        {below: match.value for below, match in found.items()}, min(match.confidence for match in sure), tuple(lines)
    )


def _sure(match: Match | None, name: str, schema: Any) -> Match:
    if match is None:
        kind = kind_of_field(name, schema if isinstance(schema, dict) else {})
        return Match(None, 0.0, (), NOT_FOUND + (f": {MISSING[kind]}" if kind in MISSING else ""))
    if match.confidence < SURE_ENOUGH:
        return Match(None, match.confidence, match.lines, f"not sure enough: {str(match.value)[:100]!r} was read")
    return match


def violations(schema: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """Where `data` violates `schema`, at most twenty places; optional properties that are null count as left out."""
    from jsonschema import Draft202012Validator

    required = set(schema.get("required", ()))
    present = {name: value for name, value in data.items() if value is not None or name in required}
    errors = Draft202012Validator(schema).iter_errors(present)
    return [
        f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for _, error in zip(range(20), errors, strict=False)
    ]
