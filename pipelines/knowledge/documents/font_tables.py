"""The characters of an embedded TrueType or OpenType font, by its own ``cmap`` table (OpenType 1.9, cmap)."""

import struct
from collections.abc import Iterator

_CHARACTERS_MAX = 70_000
_TABLES_MAX = 64
_SEGMENTS, _GROUPS = 4, 12
# (platform, encoding) of the tables that map Unicode, the larger ones first.
_UNICODE = ((3, 10), (0, 6), (0, 4), (3, 1), (0, 3), (0, 2), (0, 1), (0, 0))
_PRIVATE = range(0xE000, 0xF900)


def characters_of(font: bytes) -> dict[int, int]:
    """Glyph number to character, for fonts that hold it; empty for others and for damaged ones."""
    found: dict[int, int] = {}
    try:
        place = _unicode_table(font)
        if place is None:
            return {}
        pairs = _segments(font, place) if _number(font, place) == _SEGMENTS else _groups(font, place)
        for _, (character, glyph) in zip(range(_CHARACTERS_MAX), pairs, strict=False):
            if glyph and character not in _PRIVATE:
                found.setdefault(glyph, character)
    except struct.error:
        return {}
    return found


def _number(data: bytes, place: int) -> int:
    return int(struct.unpack_from(">H", data, place)[0])


def _unicode_table(font: bytes) -> int | None:
    for number in range(min(_number(font, 4), _TABLES_MAX)):
        tag, _, offset, _ = struct.unpack_from(">4sIII", font, 12 + 16 * number)
        if tag == b"cmap":
            break
    else:
        return None
    tables = {}
    for number in range(min(_number(font, offset + 2), _TABLES_MAX)):
        platform, encoding, inside = struct.unpack_from(">HHI", font, offset + 4 + 8 * number)
        if _number(font, offset + inside) in {_SEGMENTS, _GROUPS}:
            tables[platform, encoding] = int(offset + inside)
    return next((tables[each] for each in _UNICODE if each in tables), None)


def _segments(font: bytes, place: int) -> Iterator[tuple[int, int]]:
    size = _number(font, place + 6)
    ends, starts = place + 14, place + 16 + size
    for at in range(0, size, 2):
        first, last = _number(font, starts + at), _number(font, ends + at)
        delta, range_at = _number(font, starts + size + at), starts + 2 * size + at
        offset = _number(font, range_at)
        for character in range(first, min(last, 0xFFFE) + 1):
            if not offset:
                yield character, (character + delta) & 0xFFFF
            else:
                glyph = _number(font, range_at + offset + 2 * (character - first))
                yield character, (glyph + delta) & 0xFFFF if glyph else 0


def _groups(font: bytes, place: int) -> Iterator[tuple[int, int]]:
    for number in range(min(struct.unpack_from(">I", font, place + 12)[0], _CHARACTERS_MAX)):
        first, last, glyph = struct.unpack_from(">III", font, place + 16 + 12 * number)
        for character in range(first, min(last, 0x10FFFF) + 1):
            yield character, glyph + character - first
