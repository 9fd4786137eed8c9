"""Documents that are no bills, and bills that lack something, as lines: what must be null of each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.multimodal.reading.layout import CELL, Piece, read_order

_HEIGHT = 20
_WIDTH = 900


def read_others(file: str = "documents.txt") -> Iterator[tuple[str, frozenset[str], list[dict[str, Any]]]]:
    """Name, fields that must be null, and lines of each document of `file`."""
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    for block in text.split("\n--- ")[1:]:
        head, _, body = block.partition("\n")
        name, _, fields = head.partition(":")
        yield name, frozenset(fields.split()), lines_of(body)


def read_bills() -> Iterator[tuple[dict[str, str], list[dict[str, Any]]]]:
    """True values by field, and lines of each bill of ``bills.txt``."""
    text = Path(__file__).with_name("bills.txt").read_text(encoding="utf-8")
    for block in text.split("\n--- ")[1:]:
        head, _, body = block.partition("\n")
        _, *values = (value.strip() for value in head.split(" | "))
        yield dict(zip(("company", "date", "address", "total", "currency"), values, strict=True)), lines_of(body)


def lines_of(text: str) -> list[dict[str, Any]]:
    """The lines of `text` as a reader of print would give them, cells parted by `` | ``."""
    pieces = []
    for row, line in enumerate(text.split("\n")):
        cells = [cell for cell in line.split(CELL) if cell.strip()]
        for column, cell in enumerate(cells):
            left = 40 + column * _WIDTH / max(1, len(cells))
            place = (left, row * 30.0, left + min(9.0 * len(cell), 0.8 * _WIDTH / len(cells)), row * 30.0 + _HEIGHT)
            pieces.append(Piece(cell.strip(), place))
    return [{**line, "part": 0} for line in read_order(pieces, _WIDTH)]
