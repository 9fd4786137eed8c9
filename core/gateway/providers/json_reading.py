"""Untrusted JSON from a model's API. Its values are sanitized where they are used; parsing must not crash."""

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """The value in `text`. NaN and Infinity are accepted, as servers send them without malice.

    Raises ValueError for invalid JSON, nesting too deep to parse, and a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
