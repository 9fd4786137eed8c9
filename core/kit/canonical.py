"""One byte form of a JSON value, so that digests and signatures mean the same on every machine (RFC 8785).

A profile without its hard part: numbers are integers that a double holds exactly. Money, and whatever else has a
fraction, is written as text by those who call this.
"""

import json
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_INTEGER_MAX = 2**53 - 1
_LAST_OF_ONE_UNIT = "\uffff"


def canonical(value: Any) -> bytes:
    """`value` in the JSON Canonicalization Scheme: UTF-8, keys sorted by UTF-16 code units, no white space.

    Raises ValueError for fractions, for integers beyond 2^53 - 1, and for what is not JSON.
    """
    if not _sorts_alike(value):
        return _encode(value).encode()
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except TypeError as error:
        raise ValueError(f"not canonical JSON: {error}") from error


def exact(text: str) -> Any:
    """The JSON value in `text`, with every number that `canonical` would refuse replaced by the text of its digits."""
    return json.loads(text, parse_float=str, parse_int=_integer)


def _integer(digits: str) -> int | str:
    value = int(digits)
    return value if -_INTEGER_MAX <= value <= _INTEGER_MAX else digits


def _sorts_alike(value: Any) -> bool:
    """Whether sorting by code points, which is fast, gives the order of code units. Raises ValueError for a float."""
    kind = type(value)
    if kind is dict:
        return all(max(key, default="") <= _LAST_OF_ONE_UNIT and _sorts_alike(item) for key, item in value.items())
    if kind is list or kind is tuple:
        return all(_sorts_alike(item) for item in value)
    if kind is float:
        raise ValueError("a fraction has no canonical form here: write it as text")
    return True


def _encode(value: Any) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_encode(key)}:{_encode(item)}" for key, item in members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_encode(item) for item in value) + "]"
    return canonical(value).decode()
