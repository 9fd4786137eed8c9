"""The fields of a form, as the body that the API would take."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.problem import field_problems, invalid

_Body = TypeVar("_Body", bound=BaseModel)


def parse_form(schema: type[_Body], given: Mapping[str, Any]) -> _Body:
    """`given` as `schema`, without the fields that are None. Raises `Unprocessable` naming the field."""
    try:
        return schema.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise invalid(field_problems(error.errors(), ("form",))) from None
