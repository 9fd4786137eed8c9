"""What the research folder offers."""

from core.capability import Manifest
from pipelines.research.schemas import EXAMPLES, ReportInput, ReportOutput

REPORT = Manifest(
    id="research.report",
    version="1",
    title="Write a report",
    description=(
        "Divides a question, searches knowledge bases (and the web, where that is configured) for every part, lets a"
        " crew of researcher, analyst, writer and reviewer draft the report, and checks every claim against the source"
        " that it cites. Markdown and PDF, with numbered citations and with what could not be answered."
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
        "free with the embedded models; with a writing model, two calls for each sub-question, about four more, and two"
        " for each round of corrections"
    ),
)
