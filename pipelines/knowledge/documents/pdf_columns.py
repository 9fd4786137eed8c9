"""Columns of running text, which look like a table of two cells when a file draws them line by line.

A table's cells are short or complete in themselves; a column's lines are about equally long, and most continue in the
line below.
"""

from collections.abc import Sequence
from itertools import pairwise

from pipelines.knowledge.documents.pdf_layout import Line, Row, table_groups

_COLUMNS = 2
_LEAST_ROWS = 3
_LEAST_WORDS = 3.0
_FLOWING_SHARE = 0.4
_FULL_SHARE = 0.6
_FULL_WIDTH = 0.7
_PITCH_MAX = 2.2
_SLACK_POINTS = 3.0
_TERMINAL = (".", "!", "?", ":", ";")


def unfold_columns(rows: Sequence[Row]) -> list[Row]:
    """The rows with two columns of running text one below the other: all of the left, then all of the right."""
    unfolded: list[Row] = []
    done = 0
    for first, end in table_groups(rows):
        if first < done or not _are_columns(rows[first:end]):
            continue
        gutter = min(row.starts[1] for row in rows[first:end])
        last = end
        while last < len(rows) and _belongs(rows[last], rows[last - 1], gutter):
            last += 1
        unfolded.extend(rows[done:first])
        sides: tuple[list[Row], list[Row]] = ([], [])
        for row in rows[first:last]:
            for cell in row.cells:
                sides[cell[0].x >= gutter - _SLACK_POINTS].extend(Row([[line]]) for line in cell)
        unfolded.extend(sides[0] + sides[1])
        done = last
    return [*unfolded, *rows[done:]]


def _are_columns(rows: Sequence[Row]) -> bool:
    if len(rows) < _LEAST_ROWS or any(len(row.cells) != _COLUMNS for row in rows):
        return False
    return all(_is_prose([line for row in rows for line in row.cells[side]]) for side in (0, 1))


def _is_prose(lines: Sequence[Line]) -> bool:
    texts = [line.text.strip() for line in lines]
    words = sum(len(text.split()) for text in texts) / len(texts)
    flowing = sum(
        not one.endswith(_TERMINAL) and not other[:1].isupper() and other[:1].isalpha()
        for one, other in pairwise(texts)
    )
    widest = max(line.end - line.x for line in lines)
    full = sum(line.end - line.x >= _FULL_WIDTH * widest for line in lines)
    return words >= _LEAST_WORDS and flowing >= _FLOWING_SHARE * (len(texts) - 1) and full >= _FULL_SHARE * len(lines)


def _belongs(row: Row, above: Row, gutter: float) -> bool:
    """Whether a row below the columns continues them: on one side or both, and no further below than a line."""
    size = row.cells[0][0].size
    if not 0 < above.top - row.top <= _PITCH_MAX * size:
        return False
    return (
        all(cell[0].x >= gutter - _SLACK_POINTS or max(line.end for line in cell) <= gutter for cell in row.cells)
        and len(row.cells) <= _COLUMNS
    )
