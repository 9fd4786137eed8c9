"""Composes the report from the graph's state: sections of supported claims, sources renumbered by appearance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.gateway.extraction.tables import Row
from pipelines.research.critique.claims import Claim as Drafted
from pipelines.research.critique.claims import read_draft
from pipelines.research.report.comparing import compared
from pipelines.research.report.rows import Grid, gridded, reading_of, row_of
from pipelines.research.schemas import (
    Claim,
    Reason,
    RemovedClaim,
    SearchDone,
    Section,
    Source,
    SubQuestion,
    Unanswered,
)
from pipelines.research.state import Found, Part, ResearchState

_DETAILS: dict[Reason, str] = {
    "nothing_found": "the searches found nothing",
    "not_in_sources": "the sources that were found do not say it",
    "not_certain": "no sentence that was found surely answers it; what may help stands above",
    "not_supported": "no claim that was drafted is supported by its source",
    "search_failed": "its searches failed",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A paragraph or an item of a list, as claims."""

    claims: tuple[Claim, ...]
    is_item: bool


@dataclass(frozen=True, slots=True)
class Body:
    """The report without its figures.

    Sections that answer come before those that may help. `laid_out` is parallel to `sections`: rows of one table stand
    in one `Grid`.
    """

    plan: list[SubQuestion]
    sections: list[Section]
    laid_out: list[list[Piece | Grid]]
    comparison: Grid | None
    sources: list[Source]
    unanswered: list[Unanswered]
    removed: list[RemovedClaim]


def compose(state: ResearchState) -> Body:
    """The whole report, with the final numbers of its sources."""
    numbers: dict[int, int] = {}
    sections: list[Section] = []
    laid_out: list[list[Piece | Grid]] = []
    answered: set[int] = set()
    # Sections that answer come first; then those that may help.
    for part, asked in sorted(enumerate(state["plan"]), key=lambda each: not _is_certain(each[1])):
        found = _pieces(state, part, numbers)
        if found:
            certain = _is_certain(asked)
            if certain:
                answered.add(part)
            claims = [claim for piece in found for claim in piece.claims]
            sections.append(Section(heading=asked["heading"], sub_question=part + 1, certain=certain, claims=claims))
            laid_out.append(_laid_out(found, state["sources"], numbers))
    return Body(
        plan=[
            SubQuestion(number=part + 1, question=asked["question"], origin=asked["origin"], answered=part in answered)
            for part, asked in enumerate(state["plan"])
        ],
        sections=sections,
        laid_out=laid_out,
        comparison=compared(state["question"], [each for each in sections if each.certain]),
        sources=[_source(number, state["sources"][found - 1]) for found, number in numbers.items()],
        unanswered=_unanswered(state, answered),
        removed=[
            RemovedClaim(question=state["plan"][each["part"]]["question"], text=each["text"], reason=each["reason"])
            for each in state["removed"]
        ],
    )


def _is_certain(part: Part) -> bool:
    # Topics are no questions: passages about them are all that is requested.
    return part["origin"] in {"facet", "aspect"} or part.get("certain", True)


def _pieces(state: ResearchState, part: int, numbers: dict[int, int]) -> list[Piece]:
    support: dict[tuple[str, tuple[int, ...]], Literal["quoted", "entailed"]] = {
        (verdict["text"], tuple(verdict["cited"])): verdict["support"]
        for verdict in state["verdicts"]
        if verdict["part"] == part and verdict["support"] is not None
    }
    refused = {each["text"] for each in state["removed"] if each["part"] == part}
    pieces = []
    for block in read_draft(state["drafts"][part]):
        claims = tuple(
            Claim(
                text=claim.text,
                reading=_reading(claim, state["sources"]),
                sources=sorted(numbers.setdefault(number, len(numbers) + 1) for number in claim.cited),
                support=support[claim.text, claim.cited],
            )
            for claim in block.claims
            if (claim.text, claim.cited) in support and claim.text not in refused
        )
        if claims:
            pieces.append(Piece(claims, block.is_item))
    return pieces


def _reading(claim: Drafted, sources: Sequence[Found]) -> str | None:
    row = _row(claim.text, [sources[number - 1] for number in claim.cited])
    return None if row is None else reading_of(row)


def _row(text: str, sources: Iterable[Found]) -> Row | None:
    return next((row for source in sources if (row := row_of(text, source["text"])) is not None), None)


def _laid_out(pieces: Sequence[Piece], sources: Sequence[Found], numbers: Mapping[int, int]) -> list[Piece | Grid]:
    found = {number: sources[place - 1] for place, number in numbers.items()}
    placed: list[Piece | Grid] = []
    rows: list[tuple[Row, tuple[int, ...]]] = []
    for piece in pieces:
        only = piece.claims[0] if piece.is_item and len(piece.claims) == 1 else None
        row = None if only is None else _row(only.text, [found[number] for number in only.sources])
        if only is not None and row is not None:
            rows.append((row, tuple(only.sources)))
            continue
        placed += gridded(rows)
        rows = []
        placed.append(piece)
    return [*placed, *gridded(rows)]


def _unanswered(state: ResearchState, answered: set[int]) -> list[Unanswered]:
    missing = []
    for part, asked in enumerate(state["plan"]):
        # A topic of the evidence was not requested: without claims it is no gap, unless nothing was answered.
        if part in answered or (asked["origin"] == "facet" and answered):
            continue
        reason, detail = _why(state, part)
        missing.append(Unanswered(question=asked["question"], reason=reason, detail=detail))
    # Answered from the passages found, although not everything could be searched.
    for part in sorted(answered):
        failed = _failures(state, part)
        if failed:
            detail = f"answered in part; {failed}"
            missing.append(Unanswered(question=state["plan"][part]["question"], reason="search_failed", detail=detail))
    return missing


def _why(state: ResearchState, part: int) -> tuple[Reason, str]:
    failed = _failures(state, part)
    if failed:
        return "search_failed", failed
    reason: Reason = "nothing_found"
    if state["drafts"][part]:
        reason = "not_certain"
    elif state["candidates"][part]:
        reason = "not_in_sources"
    if any(each["part"] == part for each in state["removed"]):
        reason = "not_supported"
    return reason, _DETAILS[reason]


def _failures(state: ResearchState, part: int) -> str:
    query = state["plan"][part]["query"]
    failed = [
        f"{search['where']}: {search['error']}"
        for search in state["searches"]
        if search["query"] == query and search["error"] is not None
    ]
    return f"{_DETAILS['search_failed']} ({', '.join(dict.fromkeys(failed))})" if failed else ""


def _source(number: int, found: Found) -> Source:
    return Source.model_validate({"number": number, **found})


def searches_of(state: ResearchState) -> list[SearchDone]:
    """All searches, in the order in which they ran."""
    return [SearchDone.model_validate(search) for search in state["searches"]]
