"""The last step: the report as text, as Markdown and PDF files, and as the job's result."""

from collections.abc import Callable, Mapping
from typing import Any

from core.capability import Artifact, JobContext
from core.kit.money import format_cost
from pipelines.research.drafting import steps_of
from pipelines.research.report.compose import compose, searches_of
from pipelines.research.report.markdown import blocks_of, render_markdown
from pipelines.research.report.pdf import render_pdf
from pipelines.research.report.summary import summary_of
from pipelines.research.repository import Figures
from pipelines.research.schemas import ArtifactMade, ReportOutput
from pipelines.research.state import ResearchState

MARKDOWN, PDF = "report.md", "report.pdf"


class Publishing:
    """The step that publishes. Safe in threads; running it again replaces the files."""

    def __init__(self, figures: Callable[[JobContext], Figures]) -> None:
        self._figures = figures

    def publish(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Stream the report, which has passed its check, and write the files."""
        body = compose(state)
        summary = summary_of(state, body, self._figures(ctx))
        for block in blocks_of(state["question"], body, summary):
            ctx.delta(f"{block}\n\n")
        markdown = render_markdown(state["question"], body, summary)
        made = [
            ctx.artifact(MARKDOWN, markdown.encode(), "text/markdown"),
            ctx.artifact(PDF, render_pdf(state["question"], body, summary), "application/pdf"),
        ]
        ctx.progress(steps_of(state), steps_of(state), "published the report")
        output = ReportOutput(
            question=state["question"],
            answered=any(section.certain for section in body.sections),
            markdown=markdown,
            plan=body.plan,
            sections=body.sections,
            sources=body.sources,
            unanswered=body.unanswered,
            removed=body.removed,
            searches=searches_of(state),
            rounds=state["round"],
            model=state["model"],
            prompts=state["prompts"],
            cost_usd=format_cost(summary.figures.cost_usd, priced=summary.figures.is_priced),
            priced=summary.figures.is_priced,
            seconds=round(summary.figures.seconds, 3),
            finished_at=summary.figures.at,
            artifacts=[_made(artifact) for artifact in made],
        )
        return {"output": output.model_dump(mode="json")}


def _made(artifact: Artifact) -> ArtifactMade:
    return ArtifactMade(
        name=artifact.name,
        content_type=artifact.content_type,
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
    )
