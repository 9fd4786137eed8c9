"""Orders pieces of print on a page into lines: columns first, then rows, and rows of cells as tables.

A gutter is a strip that no piece of prose crosses, with pieces of ordinary width on both of its sides. A piece that
crosses it, a headline or a table's row, ends the columns above it. Boxes are (left, top, right, bottom) from the top
left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

CELL = " | "
_CELLS_OF_A_ROW = 3
_PROSE_SHARE = 0.25
_BINS = 200
_JOIN_WITHIN = 0.9  # of the height of the print: the space between two words of one piece
_FULL_LINE = 0.75


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of print, its box, the reader's confidence, and its vertical offset on a tilted page."""

    text: str
    box: tuple[float, float, float, float]
    confidence: float = 1.0
    drop: float = 0.0

    @property
    def height(self) -> float:
        """Its height."""
        return max(self.box[3] - self.box[1], 0.1)

    @property
    def middle(self) -> float:
        """Where its middle would be on a straight page, from the top."""
        return (self.box[1] + self.box[3]) / 2 - self.drop

    @property
    def width(self) -> float:
        """Its width."""
        return max(self.box[2] - self.box[0], 0.1)


def read_order(pieces: Sequence[Piece], page_width: float) -> list[dict[str, Any]]:
    """Lines in reading order: ``{"text", "box", "confidence", "cells", "ends"}``.

    `cells` are the separate pieces of a line (one for prose); `ends` means that the next line starts a new
    paragraph.
    """
    rows = [_joined(row) for row in _rows(pieces)]
    lines: list[list[Piece]] = []
    band: list[list[Piece]] = []
    gutter = _gutter([piece for row in rows if len(row) < _CELLS_OF_A_ROW for piece in row], page_width)
    for row in rows:
        if gutter is None or len(row) >= _CELLS_OF_A_ROW or any(_crosses(piece, gutter) for piece in row):
            lines.extend(_columns(band, gutter))
            band = []
            lines.append(row)
        else:
            band.append(row)
    lines.extend(_columns(band, gutter))
    return _as_lines(lines)


def union(boxes: Iterable[Sequence[float]]) -> list[float]:
    """The smallest box around `boxes`, rounded to a tenth."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return [round(min(left), 1), round(min(top), 1), round(max(right), 1), round(max(bottom), 1)]


def _rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: piece.middle):
        if rows:
            last = rows[-1]
            reference = median(other.middle for other in last)
            if abs(piece.middle - reference) < 0.5 * min(piece.height, median(other.height for other in last)):
                last.append(piece)
                continue
        rows.append([piece])
    return rows


def _joined(row: Sequence[Piece]) -> list[Piece]:
    """The pieces of a row from left to right; those separated by a word space are joined."""
    joined: list[Piece] = []
    for piece in sorted(row, key=lambda piece: piece.box[0]):
        last = joined[-1] if joined else None
        if last is not None and piece.box[0] - last.box[2] < _JOIN_WITHIN * min(last.height, piece.height):
            space = "" if piece.box[0] - last.box[2] < 0.1 * piece.height else " "
            left, top, right, bottom = union([last.box, piece.box])
            confidence = min(last.confidence, piece.confidence)
            joined[-1] = Piece(last.text + space + piece.text, (left, top, right, bottom), confidence, last.drop)
        else:
            joined.append(piece)
    return joined


def _gutter(pieces: Sequence[Piece], page_width: float) -> float | None:
    """Where the strip between two columns of prose is, or None."""
    prose = [piece for piece in pieces if piece.width >= _PROSE_SHARE * page_width]
    narrow = [piece for piece in prose if piece.width <= 0.55 * page_width]
    if len(narrow) < 4:  # noqa: PLR2004 - two lines on both sides
        return None
    best: tuple[int, float] | None = None
    for number in range(int(0.3 * _BINS), int(0.7 * _BINS)):
        place = page_width * number / _BINS
        crossing = sum(piece.box[0] < place < piece.box[2] for piece in narrow)
        left = sum(piece.box[2] <= place for piece in narrow)
        right = sum(piece.box[0] >= place for piece in narrow)
        support = min(left, right) - crossing  # a headline may cross it
        if support >= 2 and (best is None or support > best[0]):  # noqa: PLR2004 - two lines on both sides
            best = support, place
    return None if best is None else best[1]


def _crosses(piece: Piece, gutter: float) -> bool:
    return piece.box[0] < gutter < piece.box[2]


def _columns(band: Sequence[list[Piece]], gutter: float | None) -> list[list[Piece]]:
    if gutter is None:
        return list(band)
    left = [side for row in band if (side := [piece for piece in row if piece.box[2] <= gutter])]
    right = [side for row in band if (side := [piece for piece in row if piece.box[2] > gutter])]
    return left + right


def _as_lines(rows: Sequence[list[Piece]]) -> list[dict[str, Any]]:
    widest = max((row[-1].box[2] - row[0].box[0] for row in rows if len(row) == 1), default=0.0)
    lines = []
    for index, row in enumerate(rows):
        box = union(piece.box for piece in row)
        following = rows[index + 1] if index + 1 < len(rows) else None
        leaves_gap = following is not None and not (
            -0.5 * row[0].height < following[0].box[1] - row[0].box[3] < row[0].height
        )
        is_short = len(row) == 1 and box[2] - box[0] < _FULL_LINE * widest
        both_rows = len(row) > 1 and following is not None and len(following) > 1
        lines.append(
            {
                "text": CELL.join(piece.text for piece in row),
                "box": box,
                "confidence": round(min(piece.confidence for piece in row), 3),
                "cells": [{"text": piece.text, "box": union([piece.box])} for piece in row],
                "ends": following is None or (not both_rows and (leaves_gap or is_short or len(row) != len(following))),
            }
        )
    return lines
