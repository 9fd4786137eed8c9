"""JSON from outside, sanitized once: values stored here can always be read by Postgres, by us and by clients.

Postgres stores no U+0000, UTF-8 no lone surrogate, and JSON neither NaN nor Infinity. Output of a model, a tool or a
service may contain any of them, and it is paid for: text is repaired, and only values without a JSON form are refused.
"""

import json
import math
import re
from typing import Any

import orjson

from core.kit.errors import Unstorable

# The parser of the API and of most clients fails on numbers far beyond a double's range.
_INTEGER_MAX_BITS = 1023
DEPTH_MAX = 200
_REPLACEMENT = "\ufffd"
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
_HALF_PAIR = re.compile("[\ud800-\udbff]$")
# From 20 digits on, orjson reads an integer as a double, which loses its last digits.
_LONG_INTEGER = re.compile(rb"[0-9]{19}")
_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=lambda value: orjson.loads(orjson.dumps(value)),
)
_SORTING_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    sort_keys=True,
    default=lambda value: orjson.loads(orjson.dumps(value)),
)
_INDENTING_ENCODER = json.JSONEncoder(ensure_ascii=False, indent=2, default=str)


def clean_text(text: str) -> str:
    """`text` without U+0000; the two halves of a surrogate pair become its character, a lone half U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub(_whole, text)
    return text


def split_half_pair(text: str) -> tuple[str, str]:
    """`text` and the first half of a surrogate pair at its end, whose other half may start the next piece."""
    found = _HALF_PAIR.search(text)
    return (text, "") if found is None else (text[:-1], text[-1])


def clean(value: Any) -> Any:
    """A copy of a JSON value with its texts, names included, passed through `clean_text`.

    Values other than text, numbers, lists and dictionaries stay unchanged. Raises `Unstorable` for NaN and Infinity,
    integers beyond a double's range, and more than 200 levels.
    """
    return _clean(value, 0)


def pretty(value: Any) -> str:
    """`value` as indented JSON for people to read, never to be parsed: what has no form in JSON is shown as text."""
    return _INDENTING_ENCODER.encode(value)


def dumps(value: Any, *, sort_keys: bool = False) -> bytes:
    """`value` as JSON that can be stored and read again: cleaned, in its own order, integers of any length exact.

    Raises `Unstorable` as `clean` does, and for values without a JSON form.
    """
    try:
        body = orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError:
        # Integers above 64 bits, lone surrogates, more levels than the encoder takes, and values that are not JSON.
        return _dumps_cleaned(clean(value), sort_keys=sort_keys)
    if b"\\u0000" in body:
        return _dumps_cleaned(clean(value), sort_keys=sort_keys)
    if b"null" in body:
        # The encoder writes NaN and Infinity as null.
        clean(value)
    return body


def loads(body: bytes | str) -> Any:
    """The JSON value in `body`, integers of any length exact. Raises ValueError for invalid JSON (RFC 8259)."""
    value = orjson.loads(body)
    if _LONG_INTEGER.search(body if isinstance(body, bytes) else body.encode()):
        try:
            return json.loads(body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    return value


def loads_foreign(body: bytes | str) -> Any:
    """A JSON value from another system, cleaned. Raises ValueError for invalid JSON and what cannot be stored."""
    try:
        return clean(json.loads(body, parse_constant=_refuse_constant))
    except Unstorable as error:
        raise ValueError(error.detail) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _dumps_cleaned(value: Any, *, sort_keys: bool) -> bytes:
    # By the same encoder where possible: the two write small numbers differently.
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError:
        return _dumps_exactly(value, sort_keys=sort_keys)


def _dumps_exactly(value: Any, *, sort_keys: bool) -> bytes:
    encoder = _SORTING_ENCODER if sort_keys else _ENCODER
    try:
        return encoder.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unstorable(f"a value has no form in JSON ({type(error).__name__})") from error


def _whole(found: re.Match[str]) -> str:
    pair = found.group()
    return _REPLACEMENT if len(pair) == 1 else pair.encode("utf-16", "surrogatepass").decode("utf-16")


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        _require_depth(depth)
        return {
            clean_text(name) if isinstance(name, str) else name: _clean(item, depth + 1) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        _require_depth(depth)
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise Unstorable("a number is not finite (NaN or Infinity), which JSON cannot hold")
    if isinstance(value, int) and value.bit_length() > _INTEGER_MAX_BITS:
        raise Unstorable("an integer is larger than any number that JSON readers agree on")
    return value


def _require_depth(depth: int) -> None:
    if depth >= DEPTH_MAX:
        raise Unstorable(f"a value is nested deeper than {DEPTH_MAX} levels")
