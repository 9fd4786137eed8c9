"""Foreign JSON on the wire of a model. Its values are made safe where they are used; here nothing may blow up."""

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """The value in `text`. NaN and Infinity are read, as no server means harm by them.

    Raises ValueError for what is no JSON, is nested too deeply to be read, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
