"""A document as every reader returns it: one text, and the position of its parts, as character spans."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from enum import StrEnum

CELL = " | "
# The maximum weight of a passage: about 900 characters of prose or 600 of a table of figures. With its section that is
# within the 256 tokens that MiniLM sees.
PASSAGE_WEIGHT = 950
_LEFT_OUT_MAX = 50
_LEFT_OUT_CHARACTERS = 200

# Everything that is not text: C0 controls but tab and newline, delete, C1 controls, lone surrogates, the byte order
# mark and the noncharacters. Postgres refuses NUL, UTF-8 refuses surrogates, and the others are all invisible.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_NEWLINES = re.compile("\r\n?|\u2028|\u2029|\x85")
_BLANKS = re.compile(r"[^\S\n]+")
_WORD = re.compile(r"\w+")


def clean(text: str) -> str:
    """`text` without NUL bytes, control characters and lone surrogates, and with line feeds for newlines."""
    return _NOT_TEXT.sub("", _NEWLINES.sub("\n", text))


def words_of(text: str) -> list[str]:
    """The words and numbers of a text in lower case, without the characters between them."""
    return _WORD.findall(text.casefold())


def one_line(text: str) -> str:
    """`text` cleaned, with every run of white space as one space."""
    return " ".join(clean(text).split())


def weigh(text: str) -> int:
    """The weight of a text in characters, with all but letters and white space counted twice.

    Figures cost a token for every one or two characters.
    """
    return len(text) + sum(not (character.isalpha() or character.isspace()) for character in text)


class Kind(StrEnum):
    """The kind of a block. Records are rows of a table of which each names its columns."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    TABLE = "table"
    RECORDS = "records"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """A run of text of one kind: ``text[start:end]``. The lines of a table, and of records, are its rows."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page: ``text[start:end]``. `number` counts from 1; a paragraph may continue over the border."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Section:
    """The text below one heading, up to the next: ``text[start:end]``, without the heading itself.

    `path` is the title of the document and the headings above, outermost first.
    """

    path: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Content that a reader left out of the text: its kind, how often, how the first starts, on which pages."""

    what: str
    text: str = ""
    pages: tuple[int, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A read document. `page_count` is None for formats without pages."""

    text: str
    title: str
    media_type: str
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...]
    pages: tuple[Page, ...] = ()
    page_count: int | None = None
    left_out: tuple[LeftOut, ...] = ()

    def page_at(self, position: int) -> int | None:
        """The number of the page with the character at `position`; None without pages."""
        if not self.pages:
            return None
        found = bisect_right(self.pages, position, key=lambda page: page.start)
        return self.pages[max(found - 1, 0)].number


@dataclass(slots=True)
class Builder:
    """Takes blocks in reading order and joins them to one text: an empty line between blocks, none between items."""

    media_type: str
    title: str = ""
    page_count: int | None = None
    _parts: list[str] = field(default_factory=list)
    _length: int = 0
    _blocks: list[Block] = field(default_factory=list)
    _headings: list[tuple[int, str, Block]] = field(default_factory=list)
    _page_starts: list[tuple[int, int]] = field(default_factory=list)
    # Started pages without any text yet: a page starts with its first word, not with the space before it.
    _begun: list[int] = field(default_factory=list)
    _left_out: dict[tuple[str, str], LeftOut] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    def begin_page(self, number: int) -> None:
        """Later additions belong to page `number`."""
        self._begun.append(number)

    def leave_out(self, what: LeftOut) -> None:
        """Record content that is not in the text. Equal entries are counted; beyond a limit, the rest is one entry."""
        text = one_line(what.text)
        short = text if len(text) <= _LEFT_OUT_CHARACTERS else f"{text[:_LEFT_OUT_CHARACTERS]}…"
        key = (what.what, short)
        if key not in self._left_out and len(self._left_out) >= _LEFT_OUT_MAX:
            key = (what.what, "")
        known = self._left_out.get(key, LeftOut(*key, count=0))
        pages = tuple(sorted({*known.pages, *what.pages}))
        self._left_out[key] = LeftOut(*key, pages, known.count + what.count)

    def words(self) -> list[str]:
        """The words so far, in order, in lower case."""
        return words_of("".join(self._parts))

    def heading(self, text: str, level: int) -> None:
        """A heading; level 1 is the highest. One that is empty is left out."""
        block = self._add(Kind.HEADING, one_line(text))
        if block is not None:
            self._headings.append((level, one_line(text), block))

    def paragraph(self, text: str) -> None:
        """Running text; line breaks inside it are kept."""
        self._add(Kind.PARAGRAPH, _tidy(text))

    def item(self, text: str, *, marker: str = "-", depth: int = 0) -> None:
        """An item of a list, `depth` lists deep."""
        body = _tidy(text)
        if body:
            self._add(Kind.ITEM, f"{'  ' * depth}{marker} {body}")

    def table(self, rows: list[list[str]]) -> None:
        """A table, one line a row, its cells joined by `` | ``; empty rows are left out."""
        lines = (_row(row) for row in rows)
        self._add(Kind.TABLE, "\n".join(line for line in lines if line))

    def records(self, lines: list[str]) -> None:
        """Rows of a table, one line each, that name their columns themselves."""
        self._add(Kind.RECORDS, "\n".join(line for each in lines if (line := one_line(each))))

    def code(self, text: str) -> None:
        """Preformatted text, kept as it is."""
        self._add(Kind.CODE, clean(text).strip("\n"))

    def append(self, inner: Document) -> None:
        """Append all of another document, such as an attachment, below the last heading, with what it left out."""
        level = 1 + max((level for level, _, _ in self._headings), default=0)
        for block in inner.blocks:
            text = inner.text[block.start : block.end]
            if block.kind is Kind.HEADING:
                self.heading(text, level)
            else:
                self._add(block.kind, text)
        for part in inner.left_out:
            self.leave_out(replace(part, pages=()))

    def continue_paragraph(self, text: str) -> bool:
        """Append to the last block, which a page break had split; False when there is none."""
        if not self._blocks or not (body := _tidy(text)):
            return False
        last = self._blocks[-1]
        self._append(" ")
        self._start_pages()
        self._append(body)
        self._blocks[-1] = Block(last.kind, last.start, self._length)
        return True

    def build(self, *, fallback_title: str) -> Document:
        """The document. Its title is the file's own, else its only top heading, else `fallback_title`."""
        text = "".join(self._parts)
        title = one_line(self.title) or self._top_heading() or fallback_title
        return Document(
            text=text,
            title=title,
            media_type=self.media_type,
            blocks=tuple(self._blocks),
            sections=self._sections(title),
            pages=self._pages(),
            page_count=self.page_count,
            left_out=tuple(self._left_out.values()),
        )

    def _add(self, kind: Kind, text: str) -> Block | None:
        if not text.strip():
            return None
        if self._blocks:
            in_list = kind is Kind.ITEM and self._blocks[-1].kind is Kind.ITEM
            self._append("\n" if in_list else "\n\n")
        self._start_pages()
        block = Block(kind, self._length, self._length + len(text))
        self._append(text)
        self._blocks.append(block)
        return block

    def _start_pages(self) -> None:
        self._page_starts.extend((number, self._length) for number in self._begun)
        self._begun.clear()

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def _top_heading(self) -> str:
        highest = min((level for level, _, _ in self._headings), default=0)
        tops = [text for level, text, _ in self._headings if level == highest]
        return tops[0] if len(tops) == 1 or (tops and self._headings[0][0] == highest) else ""

    def _sections(self, title: str) -> tuple[Section, ...]:
        sections: list[Section] = []
        open_headings: list[tuple[int, str]] = []
        start = 0
        for level, text, block in self._headings:
            sections.append(Section(_path(title, open_headings), start, block.start))
            while open_headings and open_headings[-1][0] >= level:
                open_headings.pop()
            open_headings.append((level, text))
            start = block.end
        sections.append(Section(_path(title, open_headings), start, self._length))
        # Before the first heading there is a section only if there is text.
        return tuple(sections if sections[0].end else sections[1:])

    def _pages(self) -> tuple[Page, ...]:
        self._start_pages()
        ends = [*(start for _, start in self._page_starts[1:]), self._length]
        return tuple(Page(number, start, end) for (number, start), end in zip(self._page_starts, ends, strict=False))


def _path(title: str, headings: list[tuple[int, str]]) -> tuple[str, ...]:
    names = [text for _, text in headings]
    return (title, *names) if not names or names[0].casefold() != title.casefold() else tuple(names)


def _row(cells: list[str]) -> str:
    texts = [one_line(cell) for cell in cells]
    while texts and not texts[-1]:
        texts.pop()
    return CELL.join(texts)


def _tidy(text: str) -> str:
    lines = (_BLANKS.sub(" ", line).strip() for line in clean(text).split("\n"))
    return "\n".join(line for line in lines if line)
