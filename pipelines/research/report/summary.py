"""The figures at the end of a report: how it was made."""

from dataclasses import dataclass

from pipelines.research.report.compose import Body
from pipelines.research.repository import Figures
from pipelines.research.state import ResearchState


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts, the model, and the cost."""

    sub_questions: int
    searches: int
    failed_searches: int
    quoted: int
    entailed: int
    removed: int
    rounds: int
    model: str
    figures: Figures


def summary_of(state: ResearchState, body: Body, figures: Figures) -> Summary:
    """The figures of a report."""
    claims = [claim for section in body.sections for claim in section.claims]
    return Summary(
        sub_questions=len(state["plan"]),
        searches=len(state["searches"]),
        failed_searches=sum(search["error"] is not None for search in state["searches"]),
        quoted=sum(claim.support == "quoted" for claim in claims),
        entailed=sum(claim.support == "entailed" for claim in claims),
        removed=len(body.removed),
        rounds=state["round"],
        model=state["model"],
        figures=figures,
    )
