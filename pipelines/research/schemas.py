"""What ``research.report`` takes and gives: the contract that the API publishes as JSON Schema."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from core.capability import Needs

QUESTION_MAX_CHARACTERS = 1500
SUB_QUESTIONS_MAX = 8
BASES_MAX = 5
PASSAGES_MAX = 12
ROUNDS_MAX = 3

_EXAMPLE_BASE = "kb_01kb0d3h5we3v9wq2m8c5r6t7x"


def _require_words(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not hold a NUL character")
    if not text.strip():
        raise ValueError("must hold more than blanks")
    return text


KnowledgeBaseId = Annotated[
    str,
    Field(
        pattern="^kb_[0-7][0-9a-hjkmnp-tv-z]{25}$", description="Id of the knowledge base.", examples=[_EXAMPLE_BASE]
    ),
    Needs("knowledge:read"),
]
Origin = Literal["asked", "aspect", "facet", "model"]
Reason = Literal["nothing_found", "not_in_sources", "not_supported", "not_certain", "search_failed"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReportInput(_Strict):
    """A question to be researched, and where."""

    question: Annotated[str, AfterValidator(_require_words)] = Field(
        min_length=1,
        max_length=QUESTION_MAX_CHARACTERS,
        description="What the report is to answer. Several questions in one are researched one by one.",
        examples=["How are damaged parcels claimed, and what does extended cover cost?"],
    )
    knowledge_bases: list[KnowledgeBaseId] = Field(
        default_factory=list, max_length=BASES_MAX, description="Where to search; may be empty when `web` is true."
    )
    web: bool = Field(False, description="Search the web too. Only where the operator has configured a search service.")
    sub_questions: int = Field(
        5, ge=1, le=SUB_QUESTIONS_MAX, description="Into how many sub-questions the question is divided at most."
    )
    passages: int = Field(6, ge=1, le=PASSAGES_MAX, description="How many passages are read for each sub-question.")
    rounds: int = Field(
        2, ge=0, le=ROUNDS_MAX, description="How often unsupported claims are sent back before they are removed."
    )

    @model_validator(mode="after")
    def _has_somewhere_to_look(self) -> Self:
        if not self.knowledge_bases and not self.web:
            raise ValueError("name a knowledge base in `knowledge_bases`, or set `web`")
        if len(set(self.knowledge_bases)) < len(self.knowledge_bases):
            raise ValueError("`knowledge_bases` names the same one twice")
        return self


class SubQuestion(_Strict):
    """One of the questions that the question was divided into."""

    number: int = Field(ge=1)
    question: str
    origin: Origin = Field(
        description="`asked`: stands in the question; `aspect`: an item of a list or comparison in it; `facet`: a topic"
        " of the evidence that was found; `model`: the model's own division."
    )
    answered: bool


class Source(_Strict):
    """What markers like `[2]` cite: a passage of a document, or outside content from a web search."""

    number: int = Field(ge=1)
    kind: Literal["document", "web"]
    title: str = Field(description="The document's name, or the page's title.")
    url: str | None = Field(None, description="Address of a web page.")
    knowledge_base: str | None = None
    document_id: str | None = None
    passage: str | None = Field(None, description="Id of the passage in its knowledge base.")
    page: int | None = Field(None, description="Page on which the passage begins, from 1.")
    section: str | None = Field(None, description="Headings above it, outermost first, joined by ` > `.")
    text: str = Field(description="The passage as it was read.")


class Claim(_Strict):
    """One sentence of the report and what it rests on."""

    text: str
    reading: str | None = Field(
        None, description="For a row of a table: the row as a person would say it, with the heads of its columns."
    )
    sources: list[int] = Field(description="Numbers of `sources`.")
    support: Literal["quoted", "entailed"] = Field(
        description="`quoted`: stands word for word in a source; `entailed`: a source says it in other words."
    )


class Section(_Strict):
    """What the report says to one sub-question."""

    heading: str
    sub_question: int = Field(description="Number of the sub-question in `plan`.")
    certain: bool = Field(True, description="Whether it answers the sub-question; false: what it says may help.")
    claims: list[Claim]


class Unanswered(_Strict):
    """A sub-question without an answer."""

    question: str
    reason: Reason
    detail: str


class RemovedClaim(_Strict):
    """A claim that was drafted and did not pass: unsupported, or objected to. It is not part of the report."""

    question: str
    text: str
    reason: str


class SearchDone(_Strict):
    """One search: a child job, or a query to the web search service."""

    query: str
    where: str = Field(description="Id of the knowledge base, or `web`.")
    job_id: str | None = Field(None, description="The child job; null for the web.")
    state: str
    found: int = Field(ge=0, description="How many passages came back.")
    error: str | None = Field(None, description="Why it failed, as a code.")


class ArtifactMade(_Strict):
    """A file of the job: `GET /v1/jobs/{id}/artifacts/{name}`."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


class ReportOutput(_Strict):
    """The report, its evidence, and what it could not say."""

    question: str
    answered: bool = Field(description="Whether at least one section answers its sub-question.")
    markdown: str = Field(description="The report; the same text is the artifact `report.md`.")
    plan: list[SubQuestion]
    sections: list[Section]
    sources: list[Source]
    unanswered: list[Unanswered]
    removed: list[RemovedClaim]
    searches: list[SearchDone]
    rounds: int = Field(ge=0, description="How often sections were sent back.")
    model: str = Field(description="The model that the crew worked with.")
    prompts: dict[str, str] = Field(description="Digest of each prompt that was read, by name.")
    cost_usd: str | None = Field(
        description="What the job and its searches cost up to the report; null when nothing of it is known."
    )
    priced: bool = Field(True, description="Whether all of it had a price; false: it cost more than is known.")
    seconds: float = Field(ge=0, description="From the submission of the job to the report, waiting included.")
    finished_at: datetime
    artifacts: list[ArtifactMade]


EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "question": "How are damaged parcels claimed, and what does extended cover cost?",
        "knowledge_bases": [_EXAMPLE_BASE],
    },
)
