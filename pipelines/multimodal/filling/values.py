"""Converts printed amounts and dates to JSON values of the type that a schema requires."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

_AMOUNT = re.compile(r"-?\d{1,3}(?:[ ,.'\u00a0]\d{3})+(?:[.,]\d{1,2})?(?!\d)|-?\d+(?:[.,]\d+)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b")
_NUMERIC = re.compile(r"\b(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})\b")
_DAY_FIRST = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\.?\s*([A-Za-z]{3,9})\.?,?\s*(\d{4})\b")
_MONTH_FIRST = re.compile(r"\b([A-Za-z]{3,9})\.?\s*(\d{1,2})(?:st|nd|rd|th)?,?\s*(\d{4})\b")
_CENTS = 2
# A longer one is an identifier, or fills a page; as an integer it would not fit into 64 bits.
_AMOUNT_MAX_CHARACTERS = 18


def read_amounts(text: str) -> list[Decimal]:
    """Every amount in `text`. The last separator is a decimal point unless three digits follow it."""
    found = (match.group() for match in _AMOUNT.finditer(text))
    return [_amount(amount) for amount in found if len(amount) <= _AMOUNT_MAX_CHARACTERS]


def _amount(text: str) -> Decimal:
    text = re.sub(r"[ '\u00a0]", "", text)
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return Decimal(text)
    is_thousands = len(text) - last - 1 == _CENTS + 1 and (text.count(text[last]) > 1 or text[last] == ",")
    if is_thousands:
        return Decimal(text.replace(",", "").replace(".", ""))
    return Decimal(re.sub(r"[.,]", "", text[:last]) + "." + text[last + 1 :])


def read_date(text: str) -> str | None:
    """The first date in `text` as ``YYYY-MM-DD``. Of 3/4/2025, the day is read first unless that is impossible."""
    if found := _ISO.search(text):
        return _iso(int(found[1]), int(found[2]), int(found[3]))
    if found := _DAY_FIRST.search(text):
        return _iso(int(found[3]), _month(found[2]), int(found[1]))
    if found := _MONTH_FIRST.search(text):
        return _iso(int(found[3]), _month(found[1]), int(found[2]))
    if found := _NUMERIC.search(text):
        year = int(found[3]) + (2000 if len(found[3]) == _CENTS else 0)
        return _iso(year, int(found[2]), int(found[1])) or _iso(year, int(found[1]), int(found[2]))
    return None


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1 if name[:3].lower() in _MONTHS else 0


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """`schema`, or its part for values that are not null, where libraries write an optional field as a choice."""
    choices = [each for name in ("anyOf", "oneOf") for each in schema.get(name, ()) if isinstance(each, dict)]
    chosen = next((each for each in choices if each.get("type") != "null"), None)
    return schema if chosen is None or "type" in schema else {**schema, **chosen}


def kind_of(schema: Mapping[str, Any]) -> str:
    """``number``, ``integer``, ``boolean``, ``date``, ``array``, ``object`` or ``string``."""
    schema = without_null(schema)
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "string")
    if kind == "string" and schema.get("format") == "date":
        return "date"
    return str(kind)


def read_value(text: str, schema: Mapping[str, Any]) -> Any | None:  # noqa: PLR0911 - one return for each type
    """`text` as the type of `schema`, or None when it is not one."""
    schema = without_null(schema)
    kind = kind_of(schema)
    text = text.strip(" :#|\t")
    if kind in {"number", "integer"}:
        amounts = read_amounts(text)
        if not amounts or read_date(text) is not None:
            return None
        value = amounts[-1]
        if kind == "integer":
            return int(value) if value == value.to_integral_value() else None
        return float(value)
    if kind == "boolean":
        word = text.lower().strip(".! ")
        return True if word in {"yes", "true", "y", "x"} else False if word in {"no", "false", "n"} else None
    if kind == "date":
        return read_date(text)
    if allowed := schema.get("enum"):
        return next((each for each in allowed if str(each).lower() in text.lower()), None)
    return text or None
