"""JSON (RFC 8259) and JSON lines: objects as lines of names and values, lists of like objects as tables."""

import json
from typing import Any

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.encodings import decode_bytes
from pipelines.knowledge.documents.errors import CORRUPT, UnreadableDocument
from pipelines.knowledge.documents.tables import add_table

MEDIA_TYPE = "application/json"

_DEEPEST = 64
_COLUMNS_MAX = 40
_MIN_FILLED = 0.5
_TITLES = ("title", "name")


def read_json(data: bytes, *, fallback_title: str) -> Document:
    """Read JSON, or JSON lines. Raises `UnreadableDocument` when it is neither."""
    decoded = decode_bytes(data)
    value = _parse(decoded.text)
    builder = Builder(MEDIA_TYPE)
    if isinstance(value, dict):
        builder.title = next((value[name] for name in _TITLES if isinstance(value.get(name), str)), "")
    _Layout(builder).add(value, (), 0)
    if decoded.damaged:
        builder.leave_out(LeftOut("illegible", count=decoded.damaged))
    return builder.build(fallback_title=fallback_title)


def parses(data: bytes) -> bool:
    """Whether the bytes are JSON or JSON lines."""
    try:
        _parse(decode_bytes(data).text)
    except UnreadableDocument:
        return False
    return True


def _parse(text: str) -> Any:
    stripped = text.strip()
    try:
        return _load(stripped)
    except (ValueError, RecursionError) as error:
        lines = [line for line in stripped.split("\n") if line.strip()]
        try:
            if len(lines) > 1 and all(line.lstrip()[:1] in "{[" for line in lines):
                return [_load(line) for line in lines]
        except (ValueError, RecursionError):
            pass
        raise UnreadableDocument("This JSON file cannot be parsed.", code=CORRUPT) from error


def _load(text: str) -> Any:
    # Numbers stay as they are written: 0.10 is a price, and a long identifier is no float.
    return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number)


class _Number(str):
    """A number in its own digits."""

    __slots__ = ()


class _Layout:
    """Lays values out in their order."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def add(self, value: Any, path: tuple[str, ...], depth: int) -> None:
        if depth > _DEEPEST:
            self._builder.leave_out(LeftOut("nested_too_deep", ".".join(path[:8])))
        elif isinstance(value, dict):
            self._object(value, path, depth)
        elif isinstance(value, list):
            self._list(value, path, depth)
        else:
            self._builder.paragraph(_line(path[-1] if path else "", value))

    def _object(self, value: dict[str, Any], path: tuple[str, ...], depth: int) -> None:
        plain = [(name, each) for name, each in value.items() if _is_plain(each)]
        self._builder.paragraph("\n".join(_line(name, each) for name, each in plain if each is not None))
        for name, each in value.items():
            if not _is_plain(each) and each:
                self._heading((*path, name))
                self.add(each, (*path, name), depth + 1)

    def _list(self, value: list[Any], path: tuple[str, ...], depth: int) -> None:
        columns = _columns(value)
        if columns:
            rows = [[_cell(each.get(column)) for column in columns] for each in value]
            add_table(self._builder, [columns], rows)
        elif all(_is_plain(each) for each in value):
            for each in value:
                self._builder.item(_shown(each))
        else:
            for number, each in enumerate(value, start=1):
                if path and isinstance(each, dict | list):
                    self._heading((*path, str(number)))
                self.add(each, path, depth + 1)

    def _heading(self, path: tuple[str, ...]) -> None:
        self._builder.heading(path[-1] if not path[-1].isdecimal() else " ".join(path[-2:]), len(path))


def _columns(value: list[Any]) -> list[str]:
    """The names that the objects of a list share; none when they are no rows of a table."""
    if not value or not all(isinstance(each, dict) and all(map(_fits_cell, each.values())) for each in value):
        return []
    columns = list(dict.fromkeys(name for each in value for name in each))
    filled = sum(len(each) for each in value)
    return columns if len(columns) <= _COLUMNS_MAX and filled >= _MIN_FILLED * len(columns) * len(value) else []


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _fits_cell(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return _is_plain(value) or all(map(_is_plain, value))


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(_line(name, each) for name, each in value.items() if each is not None)
    return ", ".join(map(_shown, value)) if isinstance(value, list) else _shown(value)


def _line(name: str, value: Any) -> str:
    return f"{name}: {_shown(value)}" if name else _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
