"""Documents between a reader's process and its caller. JSON: it cannot hold code."""

from collections.abc import Mapping
from typing import Any

from pipelines.knowledge.documents.document import Block, Document, Kind, LeftOut, Page, Section


def encode_document(document: Document) -> dict[str, Any]:
    """A document as JSON."""
    return {
        "text": document.text,
        "title": document.title,
        "media_type": document.media_type,
        "blocks": [(block.kind, block.start, block.end) for block in document.blocks],
        "sections": [(section.path, section.start, section.end) for section in document.sections],
        "pages": [(page.number, page.start, page.end) for page in document.pages],
        "page_count": document.page_count,
        "left_out": [(each.what, each.text, each.pages, each.count) for each in document.left_out],
    }


def decode_answer(answer: Mapping[str, Any]) -> Document:
    """The document in an answer. Raises KeyError, TypeError or ValueError when it holds none."""
    return Document(
        text=answer["text"],
        title=answer["title"],
        media_type=answer["media_type"],
        blocks=tuple(Block(Kind(kind), start, end) for kind, start, end in answer["blocks"]),
        sections=tuple(Section(tuple(path), start, end) for path, start, end in answer["sections"]),
        pages=tuple(Page(number, start, end) for number, start, end in answer["pages"]),
        page_count=answer["page_count"],
        left_out=tuple(LeftOut(what, text, tuple(pages), count) for what, text, pages, count in answer["left_out"]),
    )
