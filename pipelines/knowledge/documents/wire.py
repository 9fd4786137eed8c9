"""Documents and refusals as bytes, between a reader's process and the one that asked. JSON: nothing in it can run."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from pipelines.knowledge.documents.document import Block, Document, Kind, Page, Section
from pipelines.knowledge.documents.errors import UnreadableDocument

READY = b"ready"

_LENGTH = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Task:
    """One file to read."""

    data: bytes
    name: str
    content_type: str | None


def frame(body: bytes) -> bytes:
    """A message: its length in eight bytes, then itself."""
    return _LENGTH.pack(len(body)) + body


def read_frame(read: Callable[[int], bytes]) -> bytes | None:
    """The next message from ``read(size)``, or None at the end of the stream."""
    head = _read_exactly(read, _LENGTH.size)
    return None if head is None else _read_exactly(read, _LENGTH.unpack(head)[0])


def encode_task(task: Task) -> bytes:
    """A task as two messages: what is known about the file, and the file."""
    about = orjson.dumps({"name": task.name, "content_type": task.content_type})
    return frame(about) + frame(task.data)


def decode_task(about: bytes, data: bytes) -> Task:
    """The task of two messages."""
    known = orjson.loads(about)
    return Task(data, known["name"], known["content_type"])


def encode_document(document: Document) -> bytes:
    """A document as a message."""
    return orjson.dumps(
        {
            "text": document.text,
            "title": document.title,
            "media_type": document.media_type,
            "blocks": [(block.kind, block.start, block.end) for block in document.blocks],
            "sections": [(section.path, section.start, section.end) for section in document.sections],
            "pages": [(page.number, page.start, page.end) for page in document.pages],
            "page_count": document.page_count,
        }
    )


def encode_refusal(error: UnreadableDocument) -> bytes:
    """A refusal as a message."""
    return orjson.dumps({"refused": error.code, "detail": error.detail})


def decode_answer(body: bytes) -> Document:
    """The document of an answer. Raises the `UnreadableDocument` that it holds instead, or ValueError."""
    answer: dict[str, Any] = orjson.loads(body)
    if "refused" in answer:
        raise UnreadableDocument(answer["detail"], code=answer["refused"])
    return Document(
        text=answer["text"],
        title=answer["title"],
        media_type=answer["media_type"],
        blocks=tuple(Block(Kind(kind), start, end) for kind, start, end in answer["blocks"]),
        sections=tuple(Section(tuple(path), start, end) for path, start, end in answer["sections"]),
        pages=tuple(Page(number, start, end) for number, start, end in answer["pages"]),
        page_count=answer["page_count"],
    )


def _read_exactly(read: Callable[[int], bytes], size: int) -> bytes | None:
    pieces: list[bytes] = []
    missing = size
    while missing:
        piece = read(min(missing, 1 << 20))
        if not piece:
            return None
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
