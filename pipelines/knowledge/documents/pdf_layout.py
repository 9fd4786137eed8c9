"""The geometry of a PDF page: fragments of text to lines, cells and rows, in the order in which the file draws them.

A PDF holds no paragraphs and no tables, only text at positions. Text drawn at the same height belongs to one line; text
drawn further right and no lower than the text before it is the next cell of a row. Rows count as a table only when a
neighboring row has its cells in the same places, because a bold word in running text looks like a cell, too.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

# Hebrew, Arabic, Syriac, Thaana, N'Ko and their presentation forms.
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_SAME_LINE = 0.3  # of the font size
_SAME_START_POINTS = 2.0
_CELL_GAP = 1.0  # ems
_SPACE_GAP = 0.18
_LINE_PITCH_MAX = 2.2
_CELL_RISE_MAX = 6.0
_MARKER_MAX_CHARACTERS = 4
BULLETS = frozenset("-*o\u2022\u2013\u25e6\u00b7\u25aa\uf0b7")
_MIN_COLUMNS = 2


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of text from (x, y) to `end` in points, y upwards. `size` is the font's in points."""

    x: float
    y: float
    text: str
    size: float
    bold: bool
    end: float


@dataclass(slots=True)
class Line:
    """Fragments that stand side by side without a gap. `bold` when all of it is.

    `joints` are the places inside the line where another fragment starts, as (x, offset into the text).
    """

    x: float
    y: float
    end: float
    text: str
    size: float
    bold: bool
    joints: list[tuple[float, int]] = field(default_factory=list)


@dataclass(slots=True)
class Row:
    """Cells from left to right; each cell is its lines from top to bottom. Running text is a row with one cell."""

    cells: list[list[Line]] = field(default_factory=list)

    @property
    def starts(self) -> list[float]:
        """Where the cells start, in points."""
        return [min(line.x for line in cell) for cell in self.cells]

    @property
    def ends(self) -> list[float]:
        """Where the cells end, in points."""
        return [max(line.end for line in cell) for cell in self.cells]

    @property
    def top(self) -> float:
        """The height of the highest line."""
        return max(line.y for cell in self.cells for line in cell)

    @property
    def text(self) -> str:
        """All text, for comparing rows with each other."""
        return " ".join(line.text.strip() for cell in self.cells for line in cell)


def runs_leftwards(text: str) -> bool:
    """Whether there are letters of a script that is written from right to left."""
    return _LEFTWARDS.search(text) is not None


def build_rows(fragments: Iterable[Fragment]) -> list[Row]:
    """Rows in drawing order."""
    rows: list[Row] = []
    for fragment in fragments:
        if not fragment.text.strip():
            continue
        if not rows or not _extend(rows, fragment):
            rows.append(Row([[_line(fragment)]]))
    return rows


def table_groups(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """The runs of rows that are tables, as (first, last + 1)."""
    linked = [_are_aligned(one, other) for one, other in pairwise(rows)]
    groups: list[tuple[int, int]] = []
    begin = None
    for index, link in enumerate([*linked, False]):
        if link and begin is None:
            begin = index
        elif not link and begin is not None:
            groups.append((begin, index + 1))
            begin = None
    return groups


def table_cells(rows: Sequence[Row]) -> list[list[list[str]]]:
    """Rows of a table as cells of lines of text, every row with the same columns; a missing cell is empty."""
    columns: list[float] = []
    for start in sorted(start for row in rows for start in row.starts):
        if not columns or start - columns[-1] > _SAME_START_POINTS * 3:
            columns.append(start)
    widest = max(len(row.cells) for row in rows)
    table = []
    for row in rows:
        if len(row.cells) < widest:
            _split_at(columns, row)
        texts = [[line.text.strip() for line in cell] for cell in row.cells]
        if len(row.cells) == widest or len(columns) > widest:
            table.append(texts)
            continue
        placed: list[list[str]] = [[] for _ in columns]
        for start, lines in zip(row.starts, texts, strict=True):
            nearest = min(range(len(columns)), key=lambda index: abs(columns[index] - start))
            placed[nearest].extend(lines)
        table.append(placed)
    return table


def _split_at(columns: Sequence[float], row: Row) -> None:
    """A cell that its text fills leaves no gap to the next; where a fragment starts at a column, a cell starts."""
    for number in range(len(row.cells) - 1, -1, -1):
        cell = row.cells[number]
        if len(cell) > 1:
            continue
        for x, offset in reversed(cell[0].joints):
            if any(abs(x - column) <= _SAME_START_POINTS for column in columns):
                line = cell[0]
                cell = [replace(line, text=line.text[:offset])]
                row.cells[number : number + 1] = [cell, [replace(line, x=x, text=line.text[offset:])]]


def _line(fragment: Fragment) -> Line:
    return Line(fragment.x, fragment.y, fragment.end, fragment.text.lstrip(), fragment.size, fragment.bold)


def _extend(rows: list[Row], fragment: Fragment) -> bool:
    """Put the fragment into the last row if it belongs there."""
    row = rows[-1]
    cell = row.cells[-1]
    last = cell[-1]
    em = max(fragment.size, last.size)
    rise = fragment.y - last.y
    leftwards = fragment.x < last.x - _SAME_START_POINTS and runs_leftwards(last.text + fragment.text)
    if abs(rise) <= _SAME_LINE * em and (leftwards or fragment.x >= last.x - _SAME_START_POINTS):
        gap = last.x - fragment.end if leftwards else fragment.x - last.end
        if gap < _CELL_GAP * em or (len(row.cells) == 1 and _is_marker(last.text)):
            _join(last, fragment, gap)
        else:
            row.cells.append([_line(fragment)])
        return True
    if 0 < rise <= _CELL_RISE_MAX * em and fragment.x > last.x + em:
        _gather_first_cell(rows, fragment)
        rows[-1].cells.append([_line(fragment)])
        return True
    continues = len(row.cells) > 1 and abs(fragment.x - last.x) <= _SAME_START_POINTS
    if continues and 0 < -rise <= _LINE_PITCH_MAX * em:
        cell.append(_line(fragment))
        return True
    return False


def _join(line: Line, fragment: Fragment, gap: float) -> None:
    spaced = fragment.text[:1].isspace() or line.text[-1:].isspace() or gap > _SPACE_GAP * line.size
    if spaced:
        line.text = f"{line.text.rstrip()} "
        line.joints.append((fragment.x, len(line.text)))
    line.text += fragment.text.lstrip()
    line.bold = line.bold and fragment.bold
    line.x, line.end = min(line.x, fragment.x), max(line.end, fragment.end)


def _gather_first_cell(rows: list[Row], fragment: Fragment) -> None:
    """Join the lines of the cell before the fragment, which were each taken for a row of their own.

    A cell that is centered beside them stands as far below their first line as above their last; one that is aligned
    with their top stands beside the first.
    """
    lowest = rows[-1].cells[-1][-1]
    highest = fragment.y + (fragment.y - lowest.y) + _SAME_LINE * lowest.size
    while len(rows) > 1 and len(rows[-1].cells) == 1 and len(rows[-2].cells) == 1:
        above, below = rows[-2].cells[0], rows[-1].cells[0]
        apart = above[-1].y - below[0].y
        same_column = abs(above[0].x - below[0].x) <= _SAME_START_POINTS and above[0].size == below[0].size
        if not same_column or above[0].y > highest or not 0 < apart <= _LINE_PITCH_MAX * below[0].size:
            return
        rows[-2].cells[0] = above + below
        rows.pop()


def _is_marker(text: str) -> bool:
    marker = text.strip()
    numbered = marker[-1:] in {".", ")"} and marker.strip("().").isalnum() and len(marker) <= _MARKER_MAX_CHARACTERS
    return numbered or marker in BULLETS


def _are_aligned(one: Row, other: Row) -> bool:
    if min(len(one.cells), len(other.cells)) < _MIN_COLUMNS:
        return False
    shared = sum(any(abs(a - b) <= _SAME_START_POINTS for b in other.starts) for a in one.starts)
    if shared >= _MIN_COLUMNS:
        return True
    # Numbers that are set flush right start anywhere, but line up above each other.
    return len(one.cells) == len(other.cells) and all(
        a < d and c < b for a, b, c, d in zip(one.starts, one.ends, other.starts, other.ends, strict=True)
    )
