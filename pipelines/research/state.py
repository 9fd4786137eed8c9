"""The state of the graph between its steps: plain data, stored after every step."""

from typing import Any, Literal, NotRequired, TypedDict

from pipelines.research.schemas import Origin


class Part(TypedDict):
    """A sub-question: its question, its search query, and the heading of its section."""

    question: str
    query: str
    heading: str
    origin: Origin
    # Whether a passage surely answers it, when no model writes: otherwise the passages may help, and no more.
    certain: NotRequired[bool]


class Found(TypedDict):
    """A source that was found. Drafts cite it by its place in `ResearchState.sources`, counted from 1."""

    kind: Literal["document", "web"]
    title: str
    text: str
    url: NotRequired[str | None]
    knowledge_base: NotRequired[str | None]
    document_id: NotRequired[str | None]
    passage: NotRequired[str | None]
    page: NotRequired[int | None]
    section: NotRequired[str | None]


class Note(TypedDict):
    """A quote that the researcher took: ``text[start:end]`` of source number `source`, for part number `part`."""

    part: int
    source: int
    start: int
    end: int


class Objection(TypedDict):
    """A claim that must not stay as it is, and why."""

    text: str
    reason: str


class Removed(TypedDict):
    """A claim that was removed from part number `part`, and why."""

    part: int
    text: str
    reason: str


class Verdict(TypedDict):
    """The check's verdict on one claim: `support` is how it is supported, or None with the `reason`."""

    part: int
    text: str
    cited: list[int]
    support: Literal["quoted", "entailed"] | None
    reason: str
    open: bool


class ResearchState(TypedDict, total=False):
    """Parts are numbered by their place in `plan`, from 0; `drafts`, `order` and `candidates` are parallel to it."""

    question: str
    knowledge_bases: list[str]
    web: bool
    sub_questions: int
    passages: int
    rounds: int

    writes: bool
    judges: bool
    model: str
    prompts: dict[str, str]

    scouted: list[Found]
    searches: list[dict[str, Any]]
    plan: list[Part]
    sources: list[Found]
    candidates: list[list[int]]

    notes: list[Note]
    researched: int
    order: list[list[int]]
    drafts: list[str]
    to_write: list[int]
    objections: dict[str, list[Objection]]
    review: dict[str, list[Objection]]
    reviewed: bool
    round: int
    verdicts: list[Verdict]
    removed: list[Removed]
    output: dict[str, Any]
