"""A form for a JSON Schema, and the value that a sent form stands for.

Plain properties get a field of their kind; what has no plain field is written as JSON. The value is checked by whoever
takes it, against the schema itself: this only turns texts into the types that the schema names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.problem import invalid
from core.kit.json_values import loads, pretty

PREFIX = "value."
WHOLE = "value"
_FIELDS_MAX = 100
_DEPTH_MAX = 8
_LONG_TEXT = 120
_KINDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "choice"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind` is text, long, integer, number, choice or json; `options` are those of a choice, as texts."""

    name: str
    label: str
    kind: str
    is_required: bool
    help: str = ""
    options: tuple[str, ...] = ()
    # The values of `options`.
    values: tuple[Any, ...] = ()
    default: str = ""
    max_length: int | None = None


def fields_of(schema: Mapping[str, Any], default: Any = None) -> list[Field]:
    """The fields of `schema`: those of its properties, or one for a value that is no object."""
    whole = _resolve(schema, schema)
    properties = whole.get("properties")
    if whole.get("type") == "object" and isinstance(properties, Mapping) and 0 < len(properties) <= _FIELDS_MAX:
        required = whole.get("required", ())
        given = default if isinstance(default, Mapping) else {}
        return [
            _field(f"{PREFIX}{name}", str(name), _resolve(each, schema), name in required, given.get(name))
            for name, each in properties.items()
            if isinstance(each, Mapping)
        ]
    return [_field(WHOLE, "", whole, True, default)]


def value_of(fields: Sequence[Field], sent: Mapping[str, str]) -> Any:
    """The value in a sent form. Empty optional fields are left out. Raises `Unprocessable` naming a field."""
    if len(fields) == 1 and fields[0].name == WHOLE:
        return _value(fields[0], sent.get(WHOLE, ""))
    found = {}
    for field in fields:
        given = sent.get(field.name, "")
        if given or field.is_required:
            found[field.name.removeprefix(PREFIX)] = _value(field, given)
    return found


def _field(name: str, label: str, schema: Mapping[str, Any], is_required: bool, default: Any) -> Field:
    title = str(schema.get("title") or label.replace("_", " "))
    note = str(schema.get("description") or "")
    if default is None:
        default = schema.get("default")
    values = _values(schema)
    if values is not None:
        options = tuple(_shown(value) for value in values)
        return Field(
            name, title, "choice", is_required, note, options, values, "" if default is None else _shown(default)
        )
    kind = _KINDS.get(str(schema.get("type")), "json")
    most = schema.get("maxLength")
    most = most if isinstance(most, int) else None
    if kind == "text" and (most is None or most > _LONG_TEXT):
        kind = "long"
    if default is None:
        shown = ""
    else:
        shown = default if kind in {"text", "long"} and isinstance(default, str) else pretty(default)
    return Field(
        name, title, kind, is_required, note, default=shown, max_length=most if isinstance(most, int) else None
    )


def _values(schema: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if "const" in schema:
        return (schema["const"],)
    if isinstance(schema.get("enum"), list):
        return tuple(schema["enum"])
    return (True, False) if schema.get("type") == "boolean" else None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else pretty(value)


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """`schema` without a reference into its root, a lone ``allOf``, or the ``null`` of an optional value."""
    if depth > _DEPTH_MAX:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        target = root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return {**_resolve(target, root, depth + 1), **rest}
    for word in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(word)
        if isinstance(branches, list):
            real = [each for each in branches if isinstance(each, Mapping) and each.get("type") != "null"]
            if len(real) == 1:
                rest = {name: value for name, value in schema.items() if name != word}
                return {**_resolve(real[0], root, depth + 1), **rest}
    return schema


def _value(field: Field, given: str) -> Any:
    match field.kind:
        case "choice":
            if given in field.options:
                return field.values[field.options.index(given)]
            raise _refuse(field, f"choose one of {', '.join(field.options)}")
        case "integer":
            return _parsed(field, int, given.strip(), "a whole number")
        case "number":
            return _parsed(field, float, given.strip(), "a number")
        case "json":
            return _parsed(field, loads, given, "JSON")
        case _:
            return given


def _parsed(field: Field, parse: Any, given: str, what: str) -> Any:
    try:
        return parse(given)
    except (ValueError, RecursionError):
        raise _refuse(field, f"write {what}") from None


def _refuse(field: Field, message: str) -> Exception:
    path = f"form.{field.name.removeprefix(PREFIX)}"
    return invalid([{"path": path, "code": "field_invalid", "message": message}])
