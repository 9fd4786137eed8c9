"""Claims that are rows of tables: with the heads of their columns, and joined to the tables that they come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.gateway.extraction.sentences import split_sentences
from core.gateway.extraction.tables import Row, rows_of

_QUOTES = '\u201c\u201d"'


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: the names of its columns, and rows with the numbers of their sources."""

    heads: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]


def row_of(quote: str, source: str) -> Row | None:
    """The row of a table in `source` that `quote` is, word for word; None for anything else, and for a single line."""
    wanted = " ".join(quote.strip(_QUOTES).split())
    if "|" not in wanted and "\t" not in quote:
        return None
    sentences = split_sentences(source)
    for index, row in rows_of(source, sentences).items():
        said = " ".join(source[sentences[index].start : sentences[index].end].split())
        if said == wanted:
            return row if row.header is not None or len(row.keys) > 1 else None
    return None


def reading_of(row: Row) -> str:
    """The row in words: ``Label \u2013 Head: cell; Head: cell``."""
    return row.reading(row.columns())


def gridded(rows: Sequence[tuple[Row, tuple[int, ...]]]) -> list[Grid]:
    """Rows, in their order, as tables: one for each run of rows with the same heads and width."""
    grids: list[Grid] = []
    for row, sources in rows:
        heads = row.heads or ("",) * len(row.cells)
        cells = (row.cells + ("",) * len(heads))[: max(len(heads), len(row.cells))]
        last = grids[-1] if grids else None
        if last is not None and last.heads == heads and len(last.rows[-1][0]) == len(cells):
            grids[-1] = Grid(heads, (*last.rows, (cells, sources)))
        else:
            grids.append(Grid(heads, ((cells, sources),)))
    return grids
