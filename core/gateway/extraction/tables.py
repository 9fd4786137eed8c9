"""Rows of a table read as row by column: each cell with the head of its column and the label of its row."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.gateway.extraction.sentences import Kind, Sentence

_BAR = re.compile(r"(?<!\S)\|(?!\S)|\t")
_RULE = re.compile(r"[\s|:-]+")
_HEAD_MAX_CHARACTERS = 80
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    `heads` is empty when the passage does not hold the header; `keys` are the labels of the table's rows, of which this
    row's is ``keys[index]``; `header` is the header's index among the sentences.
    """

    heads: tuple[str, ...]
    cells: tuple[str, ...]
    keys: tuple[str, ...]
    index: int
    label: int
    header: int | None

    def head(self, column: int) -> str:
        """The name of the column, "" when unknown."""
        return self.heads[column] if column < len(self.heads) else ""

    def columns(self) -> list[int]:
        """The columns that can hold an answer: those with text, except the label's."""
        return [column for column, cell in enumerate(self.cells) if cell and column != self.label]

    def reading(self, columns: Sequence[int]) -> str:
        """The row as a person would say it: ``Label \u2013 Head: cell; Head: cell``."""
        said = [
            f"{head}: {self.cells[column]}" if (head := self.head(column)) else self.cells[column] for column in columns
        ]
        label = self.cells[self.label]
        return f"{label} \u2013 {'; '.join(said)}" if label and said else label or "; ".join(said)


def split_cells(text: str) -> tuple[str, ...]:
    """The cells of a row, without surrounding white space."""
    cells = tuple(cell.strip() for cell in _BAR.split(text))
    # With a bar at both ends, as in Markdown, the outermost cells do not count; with one at the start, the first is "".
    return cells[1:-1] if len(cells) > 1 and not cells[0] and not cells[-1] else cells


def rows_of(text: str, sentences: Sequence[Sentence]) -> dict[int, Row]:
    """The rows among `sentences`, by index. A header and the rule under it are excluded: they hold no facts."""
    found: dict[int, Row] = {}
    start = 0
    while start < len(sentences):
        end = start
        while end < len(sentences) and sentences[end].kind is Kind.ROW and _continues(text, sentences, start, end):
            end += 1
        if end > start:
            found |= _table(text, sentences, start, end)
        start = max(end, start + 1)
    return found


def _continues(text: str, sentences: Sequence[Sentence], start: int, index: int) -> bool:
    """Whether the row at `index` belongs to the table that starts at `start`: no empty line is between them."""
    if index == start:
        return True
    return text[sentences[index - 1].end : sentences[index].start].count("\n") <= 1


def _table(text: str, sentences: Sequence[Sentence], start: int, end: int) -> dict[int, Row]:
    parsed = [
        (index, split_cells(text[sentences[index].start : sentences[index].end]))
        for index in range(start, end)
        if not _RULE.fullmatch(text[sentences[index].start : sentences[index].end])
    ]
    if not parsed:
        return {}
    heads: tuple[str, ...] = ()
    header: int | None = None
    if len(parsed) > 1 and _is_header(parsed[0][1], [cells for _, cells in parsed[1:]]):
        header, heads = parsed[0]
        parsed = parsed[1:]
    label = _label_column([cells for _, cells in parsed])
    keys = tuple(cells[label] if label < len(cells) else "" for _, cells in parsed)
    return {
        index: Row(heads, cells, keys, number, label if label < len(cells) else 0, header)
        for number, (index, cells) in enumerate(parsed)
    }


def _is_header(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a first row names the columns: as wide as the rows, and without their numbers."""
    width = max(len(row) for row in rows)
    if len(cells) < width or any(len(cell) > _HEAD_MAX_CHARACTERS for cell in cells):
        return False
    # A table whose corner is empty has names on both edges, which may be years.
    if not cells[0] and all(cells[1:]):
        return True
    numeric = [column for column in range(1, width) if all(_is_value(row[column]) for row in rows if column < len(row))]
    return not any(_is_value(cells[column]) for column in numeric)


def _is_value(cell: str) -> bool:
    """Whether a cell holds a figure rather than a name: it starts with a digit, a sign or a currency."""
    return re.match(r"(?:[A-Z]{3}\s|[\u20ac$\u00a3+<>~-])?\s?\d", cell) is not None


def _label_column(rows: Sequence[Sequence[str]]) -> int:
    """The first column whose cells distinguish the rows in words; a mere row number does not count."""
    width = max(len(row) for row in rows)
    for column in range(min(width, 3)):
        cells = [row[column] for row in rows if column < len(row)]
        if all(_LETTERS.search(cell) or _is_bound(cell) for cell in cells if cell) and any(cells):
            return column
    return 0


def _is_bound(cell: str) -> bool:
    return bool(_DIGIT.search(cell)) and re.search(r"[^\W\d_]", cell) is not None
