"""Whether a result is what was expected, field by field.

An expectation is an object of the result's fields, as deep as it goes; what it does not name may be anything.

* A text stands in the result's text as whole words, whatever case and blanks; ``{"$exact": …}`` is the value itself.
* A number is the result's number, or one that stands in its text; ``{"$number": 9.5, "$within": 0.01}`` is near it.
* ``true``, ``false`` and ``null`` are themselves; a list has as many members, each as expected.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Not within a word, a date or a time.
_NUMBER = re.compile(r"(?<![\w.,])(?<!\d[-/:])[-+]?\d+(?:[.,]\d+)*(?!\w|[-/:]\d)")
_OPERATORS = frozenset({"$exact", "$number"})
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A field that is not as expected. `path` is dotted: ``answer``, ``fields.total.confidence``."""

    path: str
    expected: Any
    found: Any


def mismatches(expected: Mapping[str, Any], result: Mapping[str, Any] | None) -> Iterator[Mismatch]:
    """Every field of `result` that is not as expected; all of them without a result."""
    for name, wanted in expected.items():
        yield from _compare(name, wanted, None if result is None else result.get(name))


def _compare(path: str, wanted: Any, found: Any) -> Iterator[Mismatch]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping) and not wanted.keys() & _OPERATORS:
        for name, inner in wanted.items():
            yield from _compare(f"{path}.{name}", inner, found.get(name))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, inner in enumerate(wanted):
            yield from _compare(f"{path}.{number}", inner, found[number])
    elif not _is_met(wanted, found):
        yield Mismatch(path, wanted, found)


def _is_met(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        if "$exact" in wanted:
            return _is_same(wanted["$exact"], found)
        return "$number" in wanted and _has_number(float(wanted["$number"]), found, float(wanted.get("$within", 0)))
    if isinstance(wanted, str):
        return _has_words(wanted, found)
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return _has_number(float(wanted), found, 0.0)
    return not isinstance(wanted, list) and _is_same(wanted, found)


def _is_same(wanted: Any, found: Any) -> bool:
    # In Python, true is 1.
    return isinstance(wanted, bool) == isinstance(found, bool) and bool(wanted == found)


def _has_words(wanted: str, found: Any) -> bool:
    if not isinstance(found, str):
        return False
    words, text = _plain(wanted), _plain(found)
    place = text.find(words)
    while place >= 0:
        if not (_is_in_word(text[place - 1 : place]) or _is_in_word(text[place + len(words) : place + len(words) + 1])):
            return True
        place = text.find(words, place + 1)
    return False


def _is_in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _plain(text: str) -> str:
    return _BLANKS.sub(" ", text).strip().casefold()


def _has_number(wanted: float, found: Any, within: float) -> bool:
    if isinstance(found, bool):
        return False
    if isinstance(found, int | float):
        return _is_near(wanted, float(found), within)
    if not isinstance(found, str):
        return False
    return any(_is_near(wanted, number, within) for text in _NUMBER.findall(found) for number in _readings(text))


def _is_near(wanted: float, found: float, within: float) -> bool:
    return math.isclose(wanted, found, rel_tol=1e-9, abs_tol=within)


def _readings(text: str) -> Iterator[float]:
    """What a number with marks may mean: 1,234.5 and 1.234,5 are both read, and 1,234 is 1234 or 1.234."""
    for thousands, decimal in ((",", "."), (".", ",")):
        try:
            yield float(text.replace(thousands, "").replace(decimal, "."))
        except ValueError:
            continue
