"""Money in requests: a decimal string of US dollars, never a JSON number, which most parsers read as a float."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
_FORM = re.compile(_PATTERN, re.ASCII)


def _parse(value: object) -> object:
    if isinstance(value, str) and _FORM.fullmatch(value) and Decimal(value) > 0:
        return Decimal(value)
    raise PydanticCustomError(
        "money", 'must be a positive amount of US dollars, as a string with at most nine decimals, for example "0.25"'
    )


Money = Annotated[
    Decimal,
    BeforeValidator(_parse),
    WithJsonSchema({"type": "string", "pattern": _PATTERN.replace("^", "^(?=.*[1-9])", 1)}),
]
