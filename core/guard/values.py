"""Reads all texts of a JSON value, and puts them back changed."""

import re
from collections.abc import Callable
from typing import Any

# A field's name in one of our schemas is not personal text.
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Shorter numbers identify no person.
_DIGITS_MIN = 8


def map_texts(value: Any, change: Callable[[str], str], *, but: frozenset[str] = frozenset()) -> Any:
    """A copy of a JSON value with `change` applied to every text, including long integers and unusual names.

    Values under the names `but` stay unchanged. An integer that `change` changes becomes a text. Two names that become
    one are distinguished by a number.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, int) and not isinstance(value, bool):
        digits = str(value)
        changed = change(digits) if len(digits) >= _DIGITS_MIN else digits
        return value if changed == digits else changed
    if isinstance(value, list | tuple):
        return [map_texts(each, change, but=but) for each in value]
    if isinstance(value, dict):
        made: dict[Any, Any] = {}
        for name, each in value.items():
            new = change(name) if isinstance(name, str) and _FIELD.fullmatch(name) is None else name
            while new in made:
                new = f"{new}_{len(made) + 1}"
            made[new] = each if name in but else map_texts(each, change, but=but)
        return made
    return value


def texts_in(value: Any, *, but: frozenset[str] = frozenset()) -> list[str]:
    """Every text that `map_texts` would change, without repeats, in order."""
    seen: dict[str, None] = {}

    def see(text: str) -> str:
        if text:
            seen[text] = None
        return text

    map_texts(value, see, but=but)
    return list(seen)
