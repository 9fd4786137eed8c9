"""Tables of HTML as grids (HTML, "forming a table"): a spanned cell appears in every place it covers."""

from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from pipelines.knowledge.documents.document import one_line

_SPAN_MAX = 200
_GRID_MAX = 2_000_000
_CELLS = frozenset({"td", "th"})
_OWN_PARTS = frozenset({"thead", "tbody", "tfoot"})
_HEADINGS = frozenset({f"h{level}" for level in range(1, 7)})
_LAYOUT_CHARACTERS = 2000

Grid = list[list[str]]


def is_layout(table: Any) -> bool:
    """Whether a table only arranges the page: declared so, one cell a row, or with headings or long text in cells."""
    if table.get("role") in {"presentation", "none"}:
        return True
    rows = list(own_rows(table))
    if any(cell.tag == "th" for row in rows for cell in own_cells(row)):
        return False
    if all(sum(1 for _ in own_cells(row)) <= 1 for row in rows):
        return True
    for row in rows:
        for cell in own_cells(row):
            if next(cell.iter(*_HEADINGS), None) is not None or len("".join(cell.itertext())) > _LAYOUT_CHARACTERS:
                return True
    return False


def read_grid(table: Any, hidden: frozenset[str]) -> tuple[Grid, Grid]:
    """The rows of names and the other rows of a data table; texts below `hidden` tags are left off."""
    header: Grid = []
    body: Grid = []
    # By column: how many more rows a cell above covers, and its text.
    covering: dict[int, tuple[int, str]] = {}
    size = 0
    for row in own_rows(table):
        cells = list(own_cells(row))
        texts: dict[int, str] = {column: text for column, (_, text) in covering.items()}
        covering = {column: (left - 1, text) for column, (left, text) in covering.items() if left > 1}
        column, fresh = 0, False
        for cell in cells:
            while column in texts:
                column += 1
            text = cell_text(cell, hidden)
            fresh = fresh or bool(text)
            down = _span(cell, "rowspan")
            for place in range(column, column + _span(cell, "colspan")):
                texts[place] = text
                if down > 1:
                    covering[place] = (down - 1, text)
            column += _span(cell, "colspan")
        line = [texts.get(place, "") for place in range(max(texts, default=-1) + 1)]
        size += len(line)
        if size > _GRID_MAX:
            break
        only_spanning = bool(cells) and all(_span(cell, "rowspan") > 1 for cell in cells)
        if not fresh or (only_spanning and (header or body)):
            # No cells of its own: the spanning cells appear in the rows below.
            continue
        is_header = not body and (_is_in_head(row) or all(cell.tag == "th" for cell in cells))
        (header if is_header else body).append(line)
    return header, body


def own_rows(table: Any) -> Iterator[Any]:
    """The rows of this table, not those of tables within it."""
    for child in table:
        if child.tag == "tr":
            yield child
        elif child.tag in _OWN_PARTS:
            yield from child.iterchildren("tr")


def own_cells(row: Any) -> Iterator[Any]:
    """The cells of this row."""
    return (child for child in row if child.tag in _CELLS)


def cell_text(cell: Any, hidden: frozenset[str]) -> str:
    """The text of a cell on one line; blocks, and the cells of tables within it, stay apart."""
    pieces: list[str] = []
    covered = 0
    for event, element in etree.iterwalk(cell, events=("start", "end")):
        if not isinstance(element.tag, str):
            pieces.append("" if event == "start" or covered else element.tail or "")
            continue
        if element.tag in hidden:
            covered += 1 if event == "start" else -1
        if element.tag not in _INLINE:
            pieces.append(" ")
        if not covered and (event == "start" or element is not cell):
            pieces.append((element.text if event == "start" else element.tail) or "")
    return one_line("".join(pieces))


_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd",
     "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var",
     "wbr", "nobr"}
)  # fmt: skip


def is_inline(tag: str) -> bool:
    """Whether an element runs within a line."""
    return tag in _INLINE


def _is_in_head(row: Any) -> bool:
    parent = row.getparent()
    return parent is not None and parent.tag == "thead"


def _span(cell: Any, name: str) -> int:
    value = (cell.get(name) or "1").strip()
    return min(max(int(value[:6]), 1), _SPAN_MAX) if value.isascii() and value.isdecimal() else 1
