"""Splits documents into chunks, which are embedded, searched and quoted.

A chunk never crosses a heading. Whole blocks are packed up to a target size; a block that is larger is split, prose by
LangChain's recursive splitter with a small overlap, tables between rows. Each chunk is an exact slice of the document.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from langchain_text_splitters import RecursiveCharacterTextSplitter

from pipelines.knowledge.documents.document import PASSAGE_WEIGHT, Block, Document, Kind, Section, weigh

PATH_SEPARATOR = " > "

_SENTENCE_END = re.compile(r"[.?!;]\s+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSizes:
    """Sizes by `weigh`."""

    target: int = PASSAGE_WEIGHT
    overlap: int = 120
    # A remainder smaller than this joins the chunk before it, even if that exceeds the target by as much.
    rest: int = 120


DEFAULT_SIZES = ChunkSizes()


@dataclass(frozen=True, slots=True)
class Chunk:
    """``document.text[char_start:char_end] == text``. Pages count from 1 and are None for formats without pages.

    `section` is the title and the headings above, joined by `` > ``; `context` is the header of a table that began in
    an earlier chunk, else empty.
    """

    index: int
    text: str
    section: str
    char_start: int
    char_end: int
    page: int | None = None
    page_end: int | None = None
    context: str = ""

    @property
    def embedding_text(self) -> str:
        """The text to embed and search: the chunk with the headings and table header above it."""
        return "\n".join(part for part in (self.section, self.context, self.text) if part)

    @property
    def content_hash(self) -> str:
        """SHA-256 in hex of `embedding_text`: equal chunks need to be embedded only once."""
        return hashlib.sha256(self.embedding_text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A slice of the document that is not cut further. One that is `isolated` is not joined with its neighbors."""

    start: int
    end: int
    context: str = ""
    isolated: bool = False


def split_document(document: Document, sizes: ChunkSizes = DEFAULT_SIZES) -> list[Chunk]:
    """The chunks of a document in order; at least one for a document with any text."""
    chunks: list[Chunk] = []
    for path, pieces in _pieces(document, sizes):
        for piece in pieces:
            chunks.append(
                Chunk(
                    index=len(chunks),
                    text=document.text[piece.start : piece.end],
                    section=PATH_SEPARATOR.join(path),
                    char_start=piece.start,
                    char_end=piece.end,
                    page=document.page_at(piece.start),
                    page_end=document.page_at(piece.end - 1),
                    context=piece.context,
                )
            )
    return chunks


def _pieces(document: Document, sizes: ChunkSizes) -> Iterator[tuple[tuple[str, ...], list[_Piece]]]:
    blocks = list(document.blocks)
    position = 0
    for number, section in enumerate(document.sections):
        inside: list[Block] = []
        heading: Block | None = None
        while position < len(blocks) and blocks[position].start < section.end:
            block = blocks[position]
            position += 1
            if block.kind is Kind.HEADING:
                heading = block
            else:
                inside.append(block)
        if inside:
            pieces = [piece for block in inside for piece in _split_block(document.text, block, sizes)]
            yield section.path, _pack(document.text, pieces, sizes)
        elif heading is not None and not _has_subsections(document.sections, number):
            # There is no text below this heading, so it is its own text.
            yield section.path[:-1] or section.path, [_Piece(heading.start, heading.end)]


def _has_subsections(sections: Sequence[Section], number: int) -> bool:
    path = sections[number].path
    following = sections[number + 1].path if number + 1 < len(sections) else ()
    return len(following) > len(path) and following[: len(path)] == path


def _split_block(text: str, block: Block, sizes: ChunkSizes) -> Iterator[_Piece]:
    if block.kind in {Kind.TABLE, Kind.RECORDS}:
        yield from _split_table(text, block, sizes)
    elif weigh(text[block.start : block.end]) <= sizes.target:
        yield _Piece(block.start, block.end)
    else:
        yield from _split_prose(text, block.start, block.end, sizes)


def _split_prose(text: str, start: int, end: int, sizes: ChunkSizes) -> Iterator[_Piece]:
    # The splitter's own overlap and start indexes are not used: it searches the text for its chunks, and finds the
    # wrong place when the text repeats itself. Without overlap and trimming, its chunks are the text and their places
    # exact.
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=sizes.target - sizes.overlap,
        chunk_overlap=0,
        length_function=weigh,
        separators=["\n\n", "\n", ". ", "? ", "! ", "; ", ", ", " ", ""],
        keep_separator="end",
        strip_whitespace=False,
    )
    begin = previous = start
    for part in splitter.split_text(text[start:end]):
        finish = begin + len(part)
        if part.strip():
            first = _overlapping(text, previous, begin, sizes)
            body = text[first:finish]
            yield _Piece(finish - len(body.lstrip()), first + len(body.rstrip()), isolated=True)
            previous = begin
        begin = finish


def _overlapping(text: str, previous: int, begin: int, sizes: ChunkSizes) -> int:
    """Where a chunk whose own text starts at `begin` starts: some words earlier, at a sentence if there is one."""
    reach = max(previous, begin - sizes.overlap)
    while weigh(text[reach:begin]) > sizes.overlap:
        reach += 1
    for boundary in (_SENTENCE_END, _SPACE):
        found = boundary.search(text, reach, begin)
        if found and found.end() < begin:
            return found.end()
    return begin


def _split_table(text: str, block: Block, sizes: ChunkSizes) -> Iterator[_Piece]:
    """Runs of whole rows. A run after the first carries the table's first row as its context; records need none."""
    if weigh(text[block.start : block.end]) <= sizes.target:
        yield _Piece(block.start, block.end)
        return
    header = text[block.start : block.end].split("\n", 1)[0] if block.kind is Kind.TABLE else ""
    start = end = block.start
    position = block.start
    for row in text[block.start : block.end].split("\n"):
        row_end = position + len(row)
        if end > start and weigh(text[start:row_end]) > sizes.target:
            yield _Piece(start, end, header if start > block.start else "", isolated=True)
            start = position
        if weigh(text[position:row_end]) > sizes.target:
            # One row larger than a chunk is prose in the form of a table.
            context = header if position > block.start else ""
            yield from (replace(piece, context=context) for piece in _split_prose(text, position, row_end, sizes))
            start = row_end + 1
        end = row_end
        position = row_end + 1
    if end > start:
        yield _Piece(start, end, header if start > block.start else "", isolated=True)


def _pack(text: str, pieces: Sequence[_Piece], sizes: ChunkSizes) -> list[_Piece]:
    """Join neighbors up to the target size."""
    packed: list[_Piece] = []
    for number, piece in enumerate(pieces):
        last = packed[-1] if packed else None
        is_rest = number == len(pieces) - 1 and weigh(text[piece.start : piece.end]) < sizes.rest
        room = sizes.target + (sizes.rest if is_rest else 0)
        joins = last is not None and not last.isolated and not piece.isolated
        if last is not None and joins and weigh(text[last.start : piece.end]) <= room:
            packed[-1] = _Piece(last.start, piece.end, last.context)
        else:
            packed.append(piece)
    return packed
