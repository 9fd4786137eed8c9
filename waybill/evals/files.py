"""Reads data sets: errors name the file and the line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

_BETWEEN = ", \t\r\n"


class UnreadableData(ValueError):
    """The data is not in the expected layout; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Row:
    """An object of a file. `place` names the file and the line, for error messages."""

    place: str
    values: dict[str, Any]


def read_lines(path: Path, *required: str) -> Iterator[Row]:
    """The objects of a file with one on each line; empty lines are skipped. Raises `UnreadableData`."""
    # JSON may hold Unicode line separators unescaped, so only a newline ends a line.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield _row(f"{path}, line {number}", line, required)


def read_array(path: Path, *required: str) -> Iterator[Row]:
    """The objects of a file that is one array of them. Raises `UnreadableData`."""
    text = read_text(path)
    place, line = 0, 1
    for number, (start, end) in enumerate(_elements(path, text), start=1):
        line += text.count("\n", place, start)
        place = start
        yield _row(f"{path}, line {line} (element {number})", text[start:end], required)


def read_text(path: Path) -> str:
    """The text of a file, which may start with a byte order mark. Raises `UnreadableData`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableData(f"cannot read {path}: {error}") from error


def _row(place: str, text: str, required: tuple[str, ...]) -> Row:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableData(f"{place}: {error}") from error
    if not isinstance(found, dict) or any(name not in found for name in required):
        raise UnreadableData(f"{place}: expected an object with {' and '.join(required)}")
    return Row(place, found)


def _elements(path: Path, text: str) -> Iterator[tuple[int, int]]:
    """Where each element of the array starts and ends."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableData(f"{path}, line {error.lineno}: {error.msg}") from error
    if not isinstance(found, list):
        raise UnreadableData(f"{path}, line 1: expected an array")
    decoder = json.JSONDecoder()
    place = _next(text, text.index("[") + 1)
    while text[place] != "]":
        _, end = decoder.raw_decode(text, place)
        yield place, end
        place = _next(text, end)


def _next(text: str, place: int) -> int:
    while text[place] in _BETWEEN:
        place += 1
    return place
