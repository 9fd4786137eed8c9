"""One byte form of a JSON value, so that digests and signatures mean the same on every machine (RFC 8785).

A profile without the hard part of that standard: numbers are integers that a double holds exactly. Callers write money
and other fractions as text.
"""

import json
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_INTEGER_MAX = 2**53 - 1
# The first byte of a character beyond the Basic Multilingual Plane in UTF-8: two code units in UTF-16.
_TWO_UNITS = 0xF0


def canonical(value: Any) -> bytes:
    """`value` in the JSON Canonicalization Scheme: UTF-8, keys sorted by UTF-16 code units, no white space.

    Raises ValueError for fractions, for integers beyond 2^53 - 1, and for what is not JSON.
    """
    _refuse_fractions(value)
    try:
        encoded = orjson.dumps(value, option=_OPTIONS)
    except TypeError as error:
        raise ValueError(f"not canonical JSON: {error}") from error
    # Sorting by code points gives another order than sorting by code units only where one character takes two units.
    if encoded.isascii() or max(encoded) < _TWO_UNITS:
        return encoded
    return _encode(value).encode()


def exact(text: str) -> Any:
    """The JSON value in `text`, with every number that `canonical` would refuse replaced by the text of its digits."""
    return _EXACT.decode(text)


def _integer(digits: str) -> int | str:
    value = int(digits)
    return value if -_INTEGER_MAX <= value <= _INTEGER_MAX else digits


_EXACT = json.JSONDecoder(parse_float=str, parse_int=_integer)


def _refuse_fractions(value: Any) -> None:
    kind = type(value)
    if kind is float:
        raise ValueError("a fraction has no canonical form here: write it as text")
    if kind is dict or kind is list or kind is tuple:
        # A loop over types, because this runs for every member of every verified record.
        for item in value.values() if kind is dict else value:
            kind = type(item)
            if kind is not str and kind is not int and item is not None:
                _refuse_fractions(item)


def _encode(value: Any) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_encode(key)}:{_encode(item)}" for key, item in members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_encode(item) for item in value) + "]"
    return orjson.dumps(value, option=_OPTIONS).decode()
