"""The capability of the research folder."""

from core.capability import Manifest
from pipelines.research.schemas import EXAMPLES, ReportInput, ReportOutput

REPORT = Manifest(
    id="research.report",
    version="1",
    title="Write a report",
    description=(
        "Divides a question into sub-questions, searches knowledge bases (and the web, if configured) for"
        " each, drafts the report with a crew of researcher, analyst, writer and reviewer, and checks every"
        " claim against its source. Returns Markdown and PDF with numbered citations and a list of open"
        " questions."
    ),
    input=ReportInput,
    output=ReportOutput,
    entry="pipelines.research.graph:build",
    scopes=frozenset({"knowledge:read"}),
    calls=frozenset({"knowledge.search"}),
    examples=EXAMPLES,
    written_by="machine",
    deadline_seconds=3600,
    price_hint=(
        "free with the embedded models; with a writing model, two calls per sub-question, about four more,"
        " and two for each round of corrections"
    ),
)
