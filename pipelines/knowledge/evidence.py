"""Passages in their three forms (stored, published, read by a model) and their verified quotes."""

from uuid import UUID

from core.gateway.models import Citation
from core.gateway.models import Passage as ReadablePassage
from core.kit.ids import DOCUMENT, decode, encode
from core.knowledge.records import Passage as StoredPassage
from pipelines.knowledge.schemas import FoundPassage, VerifiedQuote

_PASSAGE = "psg"


def passage_key(passage_id: str) -> UUID:
    """The chunk of a published passage id."""
    return decode(_PASSAGE, passage_id)


def found_passage(stored: StoredPassage) -> FoundPassage:
    """A stored chunk as it is published."""
    return FoundPassage(
        id=encode(_PASSAGE, stored.chunk_id),
        document_id=encode(DOCUMENT, stored.document_id),
        document=stored.document,
        page=stored.page,
        section=stored.section,
        start=stored.char_start,
        end=stored.char_end,
        text=stored.text,
        score=stored.score,
    )


def readable(found: FoundPassage) -> ReadablePassage:
    """A published passage as a model reads it."""
    return ReadablePassage(
        id=found.id,
        text=found.text,
        document=found.document,
        page=found.page,
        section=found.section or "",
        char_start=found.start,
        char_end=found.end,
    )


def verified_quote(cited: Citation, read: FoundPassage, stored: FoundPassage | None) -> VerifiedQuote | None:
    """The quote, if the knowledge base still holds it where the model read it; None when it does not.

    `cited` counts characters within the passage; the quote counts them within the document.
    """
    quote = read.text[cited.start : cited.end]
    if stored is None or stored.start != read.start or stored.text[cited.start : cited.end] != quote:
        return None
    return VerifiedQuote(
        quote=quote,
        document_id=stored.document_id,
        document=stored.document,
        page=stored.page,
        section=stored.section,
        start=stored.start + cited.start,
        end=stored.start + cited.end,
        passage=stored.id,
        confidence=cited.confidence,
    )
