"""Input and results of the knowledge capabilities, published by the API as JSON Schema."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.capability import Needs
from core.kit.ids import DOCUMENT, KNOWLEDGE_BASE

QUERY_MAX_CHARACTERS = 2000
PASSAGES_MAX = 50
PASSAGES_DEFAULT = 8
DOCUMENTS_MAX = 10_000

_EXAMPLE_BASE = "kb_01kb0d3h5we3v9wq2m8c5r6t7x"
_EXAMPLE_DOCUMENT = "doc_01kb0d3m2ffx1r0g4k9n8p7s6t"


def _id_pattern(prefix: str) -> str:
    return f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"


def _require_words(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not hold a NUL character")
    if not text.strip():
        raise ValueError("must not be blank")
    return text


_BaseId = Annotated[
    str, Field(pattern=_id_pattern(KNOWLEDGE_BASE), description="Id of the knowledge base.", examples=[_EXAMPLE_BASE])
]
DocumentId = Annotated[
    str, Field(pattern=_id_pattern(DOCUMENT), description="Id of the document.", examples=[_EXAMPLE_DOCUMENT])
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Mode(StrEnum):
    """What to return: an answer with its passages, or only the passages."""

    ANSWER = "answer"
    PASSAGES = "passages"


class SearchInput(_Strict):
    """A question to a knowledge base."""

    knowledge_base: Annotated[_BaseId, Needs("knowledge:read")]
    query: Annotated[str, AfterValidator(_require_words)] = Field(
        min_length=1,
        max_length=QUERY_MAX_CHARACTERS,
        description="The question, or the words to search for.",
        examples=["Up to what amount is a mobile phone compensated?"],
    )
    mode: Mode = Field(Mode.ANSWER, description="`answer` writes an answer with citations. `passages` only retrieves.")
    limit: int = Field(
        PASSAGES_DEFAULT,
        ge=1,
        le=PASSAGES_MAX,
        description="Number of passages to retrieve. In mode `answer` the model reads only these.",
    )


class FoundPassage(_Strict):
    """A retrieved passage. `text` is the document's text from character `start` up to `end`."""

    id: str = Field(description="Id of the passage. Stable while the document does not change.")
    document_id: DocumentId
    document: str = Field(description="The document's name.")
    page: int | None = Field(description="Page on which it starts, from 1. Null for formats without pages.")
    section: str | None = Field(description="Its headings, outermost first, joined by ` > `. Null outside any heading.")
    start: int = Field(ge=0, description="First character in the document's text, from 0.")
    end: int = Field(ge=0, description="The character after the last.")
    text: str
    score: float = Field(description="Rank score; higher is better. Comparable within one result only.")


class VerifiedQuote(_Strict):
    """A verified quote, found word for word in the passage it cites.

    Marker `[n]` in the answer refers to the n-th citation.
    """

    quote: str = Field(description="The document's own words from character `start` up to `end`.")
    document_id: DocumentId
    document: str = Field(description="The document's name.")
    page: int | None = Field(description="Page on which the quote starts, from 1. Null for formats without pages.")
    section: str | None = Field(
        description="Headings above it, outermost first, joined by ` > `. Null outside any heading."
    )
    start: int = Field(ge=0, description="First character in the document's text, from 0.")
    end: int = Field(ge=0, description="The character after the last.")
    passage: str = Field(description="Id of the passage in `passages` that contains it.")
    confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description=(
            "Probability that it answers the question, or its part of the question. Null when the model does not"
            " report one."
        ),
    )


class NoAnswer(StrEnum):
    """Why there is no answer."""

    NOTHING_FOUND = "nothing_found"  # no passage was retrieved
    NOT_IN_DOCUMENTS = "not_in_documents"  # the model read the passages and reports that they do not answer
    NOT_SUPPORTED = "not_supported"  # it states figures that are not in the words it quotes
    NOT_VERIFIED = "not_verified"  # the model wrote something, but none of its quotes is in the documents


class SearchOutput(_Strict):
    """The answer with its evidence, or only the passages."""

    mode: Mode
    answer: str | None = Field(
        description="With markers like `[1]`, which number `citations` from 1. Null in mode `passages`."
    )
    answered: bool = Field(
        description=(
            "Whether the documents answer the question: at least one quote in the answer was verified, and every"
            " figure is in the quoted words. If false, `no_answer` says why, and `passages` may still help."
        )
    )
    no_answer: NoAnswer | None = Field(description="Why `answered` is false in mode `answer`.")
    confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description=(
            "Confidence of the answer: that of its least certain quote. Null without an answer, and when the"
            " model does not report one."
        ),
    )
    citations: list[VerifiedQuote]
    dropped_quotes: int = Field(
        ge=0, description="Quotes by the model that are not in the passages. The answer does not mark them."
    )
    passages: list[FoundPassage] = Field(description="The retrieved passages, best first.")
    model: str | None = Field(description="The model that answered. Null when none was called.")
    embedding_model: str = Field(description="The model that compared the query with the passages.")
    prompt: str | None = Field(description="Digest of the prompt's text, `sha256:…`. Null when no model was called.")


class IngestInput(_Strict):
    """The documents to read into the knowledge base."""

    knowledge_base: Annotated[_BaseId, Needs("knowledge:write")]
    documents: list[DocumentId] | None = Field(
        None,
        min_length=1,
        max_length=DOCUMENTS_MAX,
        description="Documents to ingest. Null means every pending document of the knowledge base.",
    )


class LeftOutPart(_Strict):
    """Content of a document that is not in its text and cannot be searched."""

    what: str = Field(
        description=(
            "`running_head`: a repeated header or footer. `page_number`. `page_without_text`: a page that"
            " contains only images. `front_matter`. `navigation`: a menu, footer or table of contents. `comment`."
            " `deleted`. `hidden`. `hidden_sheet`, `hidden_row`, `hidden_column`, `hidden_slide`. `placeholder`:"
            " the prompt of an empty field. `form_field`: a field that is not shown. `illegible`: damaged"
            " characters, or letters of a font that does not identify them. `symbol`. `picture`. `chart`."
            " `diagram`. `embedded`: another document or page inside this one. `formula_without_value`: a formula"
            " whose result is not in the file. `macros`. `nested_too_deep`."
        ),
        examples=["running_head"],
    )
    text: str = Field(description="Its beginning, up to 200 characters. Empty when it has no text.")
    pages: list[int] = Field(description="Pages with this content, from 1, at most a hundred. Empty without pages.")
    count: int = Field(ge=1, description="Number of occurrences.")


class IngestedDocument(_Strict):
    """The outcome for one document."""

    id: DocumentId
    name: str
    status: Literal["ingested", "unchanged", "failed"] = Field(
        description="`unchanged`: its content was already searchable. `failed`: see `error`."
    )
    pages: int | None = Field(None, ge=0, description="Pages read. Null for formats without pages.")
    chunks: int = Field(ge=0, description="Number of chunks of the document.")
    embedded: int = Field(ge=0, description="Chunks that had to be embedded because their text was new.")
    left_out: list[LeftOutPart] | None = Field(
        None, description="Content that is not in the text. Null when the document was not read this time."
    )
    error: dict[str, str] | None = Field(None, description="`code` and `message` when it failed.")


class IngestCounts(_Strict):
    """Documents by outcome, and the work done."""

    ingested: int = Field(ge=0)
    unchanged: int = Field(ge=0)
    failed: int = Field(ge=0)
    chunks: int = Field(ge=0)
    embedded: int = Field(ge=0)


class IngestOutput(_Strict):
    """Every document and the totals. A failed document does not fail the job."""

    documents: list[IngestedDocument]
    counts: IngestCounts


SEARCH_EXAMPLES: tuple[dict[str, Any], ...] = (
    {"knowledge_base": _EXAMPLE_BASE, "query": "Up to what amount is a mobile phone compensated?"},
    {"knowledge_base": _EXAMPLE_BASE, "query": "lithium batteries", "mode": "passages", "limit": 20},
)
INGEST_EXAMPLES: tuple[dict[str, Any], ...] = (
    {"knowledge_base": _EXAMPLE_BASE},
    {"knowledge_base": _EXAMPLE_BASE, "documents": [_EXAMPLE_DOCUMENT]},
)
