"""Classifies the rows of a PDF's pages: headings, paragraphs, lists and tables."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.knowledge.documents.document import Builder
from pipelines.knowledge.documents.pdf_layout import BULLETS, Line, Row, table_cells, table_groups
from pipelines.knowledge.documents.running_heads import Sheet, without_running_heads

_ITEM = re.compile(
    r"(?P<marker>[-*\u2022\u2013\u25e6\u00b7\u25aa\uf0b7]|\(?(?:\d{1,2}|[a-z])[.)])\s+(?P<text>\S.*)", re.DOTALL
)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BROKEN = re.compile(r"(?<![^\W\d_])([^\W\d_]+)-$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_HEADING_MAX_CHARACTERS = 120
_LARGER = 1.08
_SAME_SIZE = 0.3
_NUMBER_ONLY = re.compile(r"\W*[\divxlc]+\.", re.IGNORECASE)
_WIDER_GAP = 1.3
_SHORT_LINE = 0.85
_TERMINAL = (".", "!", "?", ":", ";")


@dataclass(frozen=True, slots=True)
class _Type:
    """The type of the document: the size and the line pitch of running text, and its vocabulary."""

    body_size: float
    pitch: float
    right: float
    words: Mapping[str, int]


Style = tuple[float, bool]


def write_sheets(sheets: Sequence[Sheet], outline: Mapping[str, int], builder: Builder) -> None:
    """Write all pages into the builder. `outline` maps the titles of bookmarks, in lower case, to their levels."""
    kept, left_out = without_running_heads(sheets)
    for each in left_out:
        builder.leave_out(each)
    look = _measure(kept)
    pages = [(sheet.number, list(_blocks(sheet.rows, look, outline))) for sheet in kept]
    levels = _levels([block for _, blocks in pages for block in blocks], outline)
    for number, blocks in pages:
        builder.begin_page(number)
        for index, block in enumerate(blocks):
            _write(block, builder, levels, look, continues=index == 0)


def _measure(sheets: Sequence[Sheet]) -> _Type:
    sizes: Counter[float] = Counter()
    pitches: Counter[float] = Counter()
    words: Counter[str] = Counter()
    right = 0.0
    for sheet in sheets:
        previous: Line | None = None
        for row in sheet.rows:
            for cell in row.cells:
                for line in cell:
                    # Tables are often set smaller than the text, and may be most of it.
                    sizes[round(line.size, 1)] += len(line.text) if len(row.cells) == 1 else 1
                    words.update(word.casefold() for word in _WORD.findall(line.text))
                    right = max(right, line.end)
            line = row.cells[0][0]
            if previous is not None and previous.size == line.size and 0 < previous.y - line.y < 2 * line.size:
                pitches[round((previous.y - line.y) / line.size, 1)] += 1
            previous = row.cells[-1][-1]
    body = sizes.most_common(1)[0][0] if sizes else 10.0
    pitch = pitches.most_common(1)[0][0] if pitches else 1.2
    return _Type(body, pitch, right, words)


@dataclass(slots=True)
class _Block:
    """Lines that belong together, or the cells of a table."""

    lines: list[Line]
    heading: bool = False
    table: list[list[list[str]]] | None = None

    @property
    def style(self) -> Style:
        return round(self.lines[0].size, 1), all(line.bold for line in self.lines)


def _blocks(rows: Sequence[Row], look: _Type, outline: Mapping[str, int]) -> Iterator[_Block]:
    tables = dict(table_groups(rows))
    block: _Block | None = None
    index = 0
    while index < len(rows):
        if index in tables:
            if block:
                yield block
            block = None
            yield _Block([], table=table_cells(rows[index : tables[index]]))
            index = tables[index]
            continue
        line = _flat(rows[index])
        heading = _is_heading(line, look, outline)
        # The last line of a heading may be just a number, which by itself would be no heading.
        wraps = block is not None and block.heading and block.style == (round(line.size, 1), line.bold)
        if block is not None and (heading or wraps) == block.heading and _goes_on(block, line, look):
            block.lines.append(line)
        else:
            if block:
                yield block
            block = _Block([line], heading)
        index += 1
    if block:
        yield block


def _flat(row: Row) -> Line:
    """A row of running text as one line; gaps between its pieces are spaces."""
    lines = [line for cell in row.cells for line in cell]
    first = lines[0]
    return Line(
        x=first.x,
        y=lines[-1].y,
        end=max(line.end for line in lines),
        text=" ".join(line.text.strip() for line in lines),
        size=max(lines, key=lambda line: len(line.text)).size,
        bold=all(line.bold for line in lines),
    )


def _is_heading(line: Line, look: _Type, outline: Mapping[str, int]) -> bool:
    text = line.text.strip()
    if " ".join(text.casefold().split()) in outline and (line.bold or line.size > look.body_size):
        return True
    if len(text) > _HEADING_MAX_CHARACTERS or not any(character.isalpha() for character in text):
        return False
    if text.endswith((".", ":", ",", ";")) and not _NUMBER_ONLY.fullmatch(text):
        return False
    return line.size >= look.body_size * _LARGER or (line.bold and line.size >= look.body_size - _SAME_SIZE)


def _goes_on(block: _Block, line: Line, look: _Type) -> bool:
    last = block.lines[-1]
    if abs(last.size - line.size) > _SAME_SIZE or (block.heading and last.bold != line.bold):
        return False
    text, before = line.text.strip(), last.text.strip()
    if not block.heading and _ITEM.match(text):
        return False
    drop = last.y - line.y
    if drop < 0:
        # The next column, higher up: the sentence continues there only if it had not ended.
        full = last.end - last.x > _SHORT_LINE * max(other.end - other.x for other in block.lines)
        return not block.heading and not before.endswith(_TERMINAL) and (text[:1].islower() or full)
    if drop > look.pitch * _WIDER_GAP * line.size:
        return False
    left = min(other.x for other in block.lines)
    ended_early = last.end - left < (look.right - left) * _SHORT_LINE
    return block.heading or not (before.endswith((".", "!", "?", ":")) and ended_early and text[:1].isupper())


def _levels(blocks: Sequence[_Block], outline: Mapping[str, int]) -> dict[Style, int]:
    """The level of each style of heading: as the bookmarks have it; others by size, larger ones above."""
    headings = [block for block in blocks if block.heading]
    known: dict[Style, Counter[int]] = {}
    for block in headings:
        level = outline.get(_joined(block.lines, None).casefold())
        if level is not None:
            known.setdefault(block.style, Counter())[level] += 1
    levels = {style: counts.most_common(1)[0][0] for style, counts in known.items()}
    deepest = max(levels.values(), default=0)
    smallest = min(levels, default=(0.0, False))
    unknown = sorted({block.style for block in headings} - set(levels), reverse=True)
    above = [style for style in unknown if levels and style > smallest]
    for style in above:
        levels[style] = 0
    for rank, style in enumerate((style for style in unknown if style not in above), start=1):
        levels[style] = deepest + rank
    return levels


def _write(block: _Block, builder: Builder, levels: Mapping[Style, int], look: _Type, *, continues: bool) -> None:
    if block.table is not None:
        builder.table([[_joined_text(cell, look) for cell in row] for row in block.table])
        return
    text = _joined(block.lines, look)
    item = _ITEM.match(text)
    if block.heading:
        builder.heading(text, levels[block.style])
    elif item:
        marker = item["marker"]
        builder.item(item["text"], marker="-" if marker in BULLETS else marker)
    elif not (continues and text[:1].islower() and builder.continue_paragraph(text)):
        builder.paragraph(text)


def _joined(lines: Sequence[Line], look: _Type | None) -> str:
    return _joined_text([line.text for line in lines], look)


def _joined_text(lines: Sequence[str], look: _Type | None) -> str:
    """Lines joined to one text. A word broken at the margin is mended; a hyphen that belongs to the word stays."""
    parts: list[str] = []
    for line in filter(None, (" ".join(line.split()) for line in lines)):
        last = parts[-1] if parts else ""
        if last.endswith("\u00ad"):
            parts[-1] = last[:-1]
        elif look is not None and (broken := _BROKEN.search(last)) and line[:1].islower():
            if _is_one_word(broken.group(1), line, look):
                parts[-1] = last[:-1]
        elif parts:
            parts.append(" ")
        parts.append(line)
    return "".join(parts).replace("\u00ad", "")


def _is_one_word(head: str, line: str, look: _Type) -> bool:
    rest = _FIRST_WORD.match(line)
    tail = rest.group() if rest else ""
    whole, compound = f"{head}{tail}".casefold(), f"{head}-{tail}".casefold()
    if look.words[whole] != look.words[compound]:
        return look.words[whole] > look.words[compound]
    # Both halves are words of their own elsewhere in the text: more likely a compound than a broken word.
    return not (look.words[head.casefold()] > 1 and look.words[tail.casefold()] > 1)
