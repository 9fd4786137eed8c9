"""Input and result of ``research.report``, published by the API as JSON Schema."""

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
        raise ValueError("must not be blank")
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
    """A question to research, and where to search."""

    question: Annotated[str, AfterValidator(_require_words)] = Field(
        min_length=1,
        max_length=QUESTION_MAX_CHARACTERS,
        description="The question that the report answers. Several questions in one are researched separately.",
        examples=["How are damaged parcels claimed, and what does extended cover cost?"],
    )
    knowledge_bases: list[KnowledgeBaseId] = Field(
        default_factory=list,
        max_length=BASES_MAX,
        description="Knowledge bases to search. May be empty when `web` is true.",
    )
    web: bool = Field(False, description="Search the web too. Requires a search service configured by the operator.")
    sub_questions: int = Field(5, ge=1, le=SUB_QUESTIONS_MAX, description="Maximum number of sub-questions.")
    passages: int = Field(6, ge=1, le=PASSAGES_MAX, description="Number of passages read for each sub-question.")
    rounds: int = Field(
        2, ge=0, le=ROUNDS_MAX, description="How often unsupported claims are revised before they are removed."
    )

    @model_validator(mode="after")
    def _has_somewhere_to_look(self) -> Self:
        if not self.knowledge_bases and not self.web:
            raise ValueError("name a knowledge base in `knowledge_bases`, or set `web`")
        if len(set(self.knowledge_bases)) < len(self.knowledge_bases):
            raise ValueError("`knowledge_bases` names the same knowledge base twice")
        return self


class SubQuestion(_Strict):
    """One of the sub-questions."""

    number: int = Field(ge=1)
    question: str
    origin: Origin = Field(
        description=(
            "`asked`: stated in the question. `aspect`: an item of a list or comparison in it. `facet`: a topic"
            " of the evidence that was found. `model`: proposed by the model."
        )
    )
    answered: bool


class Source(_Strict):
    """A source that markers like `[2]` cite: a passage of a document, or outside content from a web search."""

    number: int = Field(ge=1)
    kind: Literal["document", "web"]
    title: str = Field(description="The document's name, or the page's title.")
    url: str | None = Field(None, description="Address of a web page.")
    knowledge_base: str | None = None
    document_id: str | None = None
    passage: str | None = Field(None, description="Id of the passage in its knowledge base.")
    page: int | None = Field(None, description="Page on which the passage starts, from 1.")
    section: str | None = Field(None, description="Headings above it, outermost first, joined by ` > `.")
    text: str = Field(description="The passage as it was read.")


class Claim(_Strict):
    """One sentence of the report and its sources."""

    text: str
    reading: str | None = Field(
        None, description="For a table row: the row as a sentence, with the heads of its columns."
    )
    sources: list[int] = Field(description="Numbers of `sources`.")
    support: Literal["quoted", "entailed"] = Field(
        description="`quoted`: a source contains it word for word. `entailed`: a source says it in other words."
    )


class Section(_Strict):
    """The part of the report about one sub-question."""

    heading: str
    sub_question: int = Field(description="Number of the sub-question in `plan`.")
    certain: bool = Field(
        True, description="Whether it answers the sub-question. If false, its content may still help."
    )
    claims: list[Claim]


class Unanswered(_Strict):
    """A sub-question without an answer."""

    question: str
    reason: Reason
    detail: str


class RemovedClaim(_Strict):
    """A drafted claim that did not pass, because it was unsupported or objected to. It is not part of the report."""

    question: str
    text: str
    reason: str


class SearchDone(_Strict):
    """One search: a child job, or a query to the web search service."""

    query: str
    where: str = Field(description="Id of the knowledge base, or `web`.")
    job_id: str | None = Field(None, description="The child job. Null for the web.")
    state: str
    found: int = Field(ge=0, description="Number of passages returned.")
    error: str | None = Field(None, description="Why it failed, as a code.")


class ArtifactMade(_Strict):
    """A file of the job: `GET /v1/jobs/{id}/artifacts/{name}`."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


class ReportOutput(_Strict):
    """The report, its evidence, and open questions."""

    question: str
    answered: bool = Field(description="Whether at least one section answers its sub-question.")
    markdown: str = Field(description="The report. The artifact `report.md` contains the same text.")
    plan: list[SubQuestion]
    sections: list[Section]
    sources: list[Source]
    unanswered: list[Unanswered]
    removed: list[RemovedClaim]
    searches: list[SearchDone]
    rounds: int = Field(ge=0, description="How often sections were revised.")
    model: str = Field(description="The model that the crew used.")
    prompts: dict[str, str] = Field(description="Digest of each prompt that was used, by name.")
    cost_usd: str | None = Field(
        description="Cost of the job and its searches up to the report. Null when no part of it had a price."
    )
    priced: bool = Field(
        True, description="Whether all usage had a price. If false, the actual cost is higher than shown."
    )
    seconds: float = Field(ge=0, description="Time from submission of the job to the report, including waiting.")
    finished_at: datetime
    artifacts: list[ArtifactMade]


EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "question": "How are damaged parcels claimed, and what does extended cover cost?",
        "knowledge_bases": [_EXAMPLE_BASE],
    },
)
