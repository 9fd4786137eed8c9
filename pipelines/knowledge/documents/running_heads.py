"""Running heads and feet of a PDF: rows that repeat at the edges of pages, and page numbers.

A number in such a row is its page's own only when it grows with the pages. Rows that differ in any other number are
text: the amount due is at the foot of every invoice. Of repeated rows, the first stays in the text.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.knowledge.documents.document import LeftOut, one_line
from pipelines.knowledge.documents.pdf_layout import Row

_MARGIN_SHARE = 0.12
_REPEATS_SHARE = 0.5
_MIN_REPEATS = 2
_DIGITS = re.compile(r"[0-9]+")
_TOKEN = re.compile(r"[^\W_]+|#")
_PAGE_WORDS = frozenset({"page", "p", "pg", "seite", "s", "pagina", "página", "strona", "side", "sida"})
_OF_WORDS = frozenset({"of", "von", "van", "de", "di", "z", "af", "av", "sur"})
_LONGEST_NUMBER = 6


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page: its number, its height in points, its rows in drawing order."""

    number: int
    height: float
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class _Edge:
    """A row at the upper or lower edge of a page: its text with ``#`` for each number, and those numbers."""

    page: int
    row: Row
    masked: str
    numbers: tuple[str, ...]

    def offset(self, slot: int) -> int | None:
        """The difference between a number and the page's; None for one that is too long to number pages."""
        number = self.numbers[slot]
        return int(number) - self.page if len(number) <= _LONGEST_NUMBER else None


def without_running_heads(sheets: Sequence[Sheet]) -> tuple[list[Sheet], list[LeftOut]]:
    """The pages without repeated heads and feet and without page numbers, and the removed rows."""
    groups: defaultdict[str, list[_Edge]] = defaultdict(list)
    for sheet in sheets:
        for row in sheet.rows:
            if _is_at_edge(row, sheet):
                edge = _edge(sheet.number, row)
                groups[edge.masked].append(edge)
    least = max(_MIN_REPEATS, len(sheets) * _REPEATS_SHARE)
    dropped: set[int] = set()
    left_out: list[LeftOut] = []
    for masked, edges in groups.items():
        numbers = _page_numbers(edges) if _is_page_number(masked) else []
        if numbers:
            left_out.append(_left_out("page_number", numbers))
        repeated = [] if numbers or _is_page_number(masked) else _repeated(edges, least)
        left_out.extend(_left_out("running_head", run) for run in repeated)
        dropped.update(id(edge.row) for run in (numbers, *repeated) for edge in run)
    kept = [replace(sheet, rows=[row for row in sheet.rows if id(row) not in dropped]) for sheet in sheets]
    return kept, left_out


def _repeated(edges: Sequence[_Edge], least: float) -> list[list[_Edge]]:
    """The repeats among rows that only differ in numbers, without the first of each."""
    if len({edge.page for edge in edges}) < least:
        return []
    growing = {slot for slot in range(len(edges[0].numbers)) if _grows(edges, slot)}
    runs: defaultdict[tuple[str, ...], list[_Edge]] = defaultdict(list)
    for edge in edges:
        runs[tuple(number for slot, number in enumerate(edge.numbers) if slot not in growing)].append(edge)
    return [run[1:] for run in runs.values() if len(run) > 1]


def _grows(edges: Sequence[_Edge], slot: int) -> bool:
    """Whether a number increases with the pages: the same distance from each page's own number."""
    pages = {edge.page for edge in edges}
    return len(pages) > 1 and len({edge.offset(slot) for edge in edges}) == 1 and edges[0].offset(slot) is not None


def _page_numbers(edges: Sequence[_Edge]) -> list[_Edge]:
    """Of rows that hold only a number, or "page 1 of 3": those that number their pages."""
    offsets = Counter(edge.offset(0) for edge in edges)
    offset, count = offsets.most_common(1)[0]
    usual = offset if count > 1 else 0
    named = len(edges[0].numbers) > 1 or any(word in _PAGE_WORDS for word in _words(edges[0].masked))
    return [edge for edge in edges if named or (edge.offset(0) is not None and edge.offset(0) == usual)]


def _is_page_number(masked: str) -> bool:
    words = _words(masked)
    if words[:1] and words[0] in _PAGE_WORDS:
        words = words[1:]
    return words == ["#"] or (len(words) in {2, 3} and words[0] == words[-1] == "#" and _joins(masked, words[1:-1]))


def _joins(masked: str, between: Sequence[str]) -> bool:
    return between[0] in _OF_WORDS if between else "/" in masked


def _words(masked: str) -> list[str]:
    return _TOKEN.findall(masked)


def _edge(page: int, row: Row) -> _Edge:
    text = " ".join(row.text.casefold().split())
    return _Edge(page, row, _DIGITS.sub("#", text), tuple(_DIGITS.findall(text)))


def _is_at_edge(row: Row, sheet: Sheet) -> bool:
    return not sheet.height * _MARGIN_SHARE < row.top < sheet.height * (1 - _MARGIN_SHARE)


def _left_out(what: str, edges: Sequence[_Edge]) -> LeftOut:
    return LeftOut(what, one_line(edges[0].row.text), tuple(sorted({edge.page for edge in edges})), len(edges))
