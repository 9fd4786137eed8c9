"""Tables of every format as text, so that every passage of a table holds the names of its columns."""

from collections.abc import Sequence
from itertools import pairwise

from pipelines.knowledge.documents.document import CELL, PASSAGE_WEIGHT, Builder, one_line, weigh

Rows = Sequence[Sequence[str]]
_SEPARATOR_WEIGHT = weigh(CELL)


def add_table(builder: Builder, header: Rows, rows: Rows) -> None:
    """Add a table. `header` are its rows of column names, none if it has none.

    A table that fits a passage becomes lines of cells below its header; in a larger one each row names its columns.
    """
    names = _names(header)
    lines = [[one_line(cell) for cell in row] for row in rows]
    if not any(names):
        builder.table([*map(list, header), *lines])
        return
    if _fits_passage([names, *lines]):
        builder.table([names, *lines])
    elif lines:
        builder.records([_record(names, row) for row in lines])


def _fits_passage(rows: Rows) -> bool:
    weight = 0
    for row in rows:
        weight += sum(weigh(cell) + _SEPARATOR_WEIGHT for cell in row)
        if weight > PASSAGE_WEIGHT:
            return False
    return True


def _names(header: Rows) -> list[str]:
    """The names of the columns: of several header rows, the names above each other joined, each once."""
    width = max((len(row) for row in header), default=0)
    names = []
    for column in range(width):
        above = [one_line(row[column]) for row in header if column < len(row)]
        names.append(" ".join(dict.fromkeys(name for name in above if name)))
    return names


def _record(names: Sequence[str], row: Sequence[str]) -> str:
    padded = [*names, *[""] * (len(row) - len(names))]
    cells = [(name, cell) for name, cell in zip(padded, row, strict=False) if cell]
    return "; ".join(f"{name}: {cell}" if name and name != cell else cell for name, cell in cells)


def looks_like_header(first: Sequence[str], following: Sequence[Sequence[str]]) -> bool:
    """Whether the first row of a table names its columns: short, different texts, mostly without figures."""
    cells = [one_line(cell) for cell in first]
    filled = [cell for cell in cells if cell]
    if not following or not filled or len(set(filled)) < len(filled):
        return False
    width = max(len(row) for row in following)
    if len(filled) * 2 < width:
        return False
    return all(len(cell) <= _NAME_MAX for cell in filled) and not _has_figure_above_figures(cells, following)


_NAME_MAX = 80
_LOOKED_AT = 20


def _has_figure_above_figures(cells: Sequence[str], following: Sequence[Sequence[str]]) -> bool:
    """Whether a figure stands above figures, as in a table without column names. A year may name a column."""
    for column, cell in enumerate(cells):
        below = [row[column] for row in following[:_LOOKED_AT] if column < len(row) and row[column]]
        if is_figure(cell) and below and all(map(is_figure, below)) and not _is_year_or_number(cell, cells):
            return True
    return False


def _is_year_or_number(cell: str, cells: Sequence[str]) -> bool:
    """Whether columns are counted: 1, 2, 3 or 2023, 2024."""
    figures = [other for other in cells if other.isdecimal()]
    return cell in figures and len(figures) > 1 and all(int(two) - int(one) == 1 for one, two in pairwise(figures))


def is_figure(cell: str) -> bool:
    """Whether a cell holds a number, an amount or a date rather than words."""
    text = cell.strip()
    return any(character.isdecimal() for character in text) and not any(character.isalpha() for character in text)
