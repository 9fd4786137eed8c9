"""Runs the questions through the graph on a knowledge base and scores the reports.

*Support* is the share of claims that their citations support, decided here and not by the capability: the claim stands
word for word in every source that it cites, and that source in the knowledge base. *Coverage* is the share of the
expected facts that some claim states. *Restraint* is the share of the parts without an answer that the report lists as
such.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text as sql

from pipelines._kit.quotes import find_quote
from pipelines.research.schemas import ReportOutput
from tests.factories.knowledge import Library
from tests.factories.research import Research, searching

QUESTIONS = Path(__file__).with_name("questions.jsonl")


@dataclass(frozen=True, slots=True)
class Figure:
    """One report: how many of how many claims are supported, facts stated, and gaps admitted."""

    id: str
    supported: int
    claims: int
    missing: tuple[str, ...]
    facts: int
    hidden: tuple[str, ...]
    gaps: int
    report: ReportOutput


@dataclass(frozen=True, slots=True)
class Score:
    """All reports."""

    figures: Sequence[Figure]

    @property
    def support(self) -> float:
        """The share of claims that their citations support."""
        return _share(sum(each.supported for each in self.figures), sum(each.claims for each in self.figures))

    @property
    def coverage(self) -> float:
        """The share of expected facts that the reports state."""
        facts = sum(each.facts for each in self.figures)
        return _share(facts - sum(len(each.missing) for each in self.figures), facts)

    @property
    def restraint(self) -> float:
        """The share of parts without an answer that are listed as such."""
        gaps = sum(each.gaps for each in self.figures)
        return _share(gaps - sum(len(each.hidden) for each in self.figures), gaps)


def read_questions() -> list[dict[str, Any]]:
    """The questions with their expected facts and their parts that have no answer."""
    return [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def run(library: Library, questions: Sequence[dict[str, Any]]) -> Score:
    """Score these questions on the library's models."""
    research = Research(library.gateway, searching(library))
    return Score([_judge(library, research, label) for label in questions])


def _judge(library: Library, research: Research, label: dict[str, Any]) -> Figure:
    report = research.report(label["question"], library.base_id)
    texts = {source.number: source.text for source in report.sources if _is_stored(library, source.text)}
    claims = [claim for section in report.sections for claim in section.claims]
    supported = [
        claim
        for claim in claims
        if claim.sources and all(number in texts and find_quote(texts[number], claim.text) for number in claim.sources)
    ]
    said = " ".join(" ".join(claim.text.split()) for claim in claims)
    open_parts = " ".join(each.question for each in report.unanswered)
    return Figure(
        id=label["id"],
        supported=len(supported),
        claims=len(claims),
        missing=tuple(fact for fact in label["facts"] if fact not in said),
        facts=len(label["facts"]),
        hidden=tuple(gap for gap in label["unanswerable"] if gap not in open_parts),
        gaps=len(label["unanswerable"]),
        report=report,
    )


def _is_stored(library: Library, text: str) -> bool:

    with library.database.tenant(library.principal.organization_id) as session:
        query = sql("SELECT count(*) FROM chunks WHERE knowledge_base_id = :base AND text = :text")
        return bool(session.execute(query, {"base": library.base.id, "text": text}).scalar_one())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
