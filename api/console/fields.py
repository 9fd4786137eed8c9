"""Reads a form into the schema that the same act takes in ``/v1``."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.console.routing import form
from api.problem import field_problems, invalid

_Body = TypeVar("_Body", bound=BaseModel)


def field(request: Request, name: str) -> str | None:
    """A field's text without surrounding spaces; None when it is empty or missing."""
    return str(form(request).get(name, "")).strip() or None


def body_of(schema: type[_Body], given: Mapping[str, Any]) -> _Body:
    """`given` as `schema`. Raises `Unprocessable` naming the fields that do not fit."""
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise invalid(field_problems(error.errors(include_input=False, include_url=False), ("form",))) from None


def number(request: Request, name: str) -> int | None:
    """A field's whole number; None when it is empty. Raises `Unprocessable`."""
    given = field(request, name)
    if given is None:
        return None
    try:
        return int(given)
    except ValueError:
        message = "write a whole number"
        raise invalid([{"path": f"form.{name}", "code": "field_invalid", "message": message}]) from None
