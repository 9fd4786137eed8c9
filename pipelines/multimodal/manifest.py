"""The capability of the multimodal folder: understanding images, PDFs and recordings."""

from core.capability import Manifest
from pipelines.multimodal.schemas import EXAMPLES, UnderstandInput, UnderstandOutput

UNDERSTAND = Manifest(
    shadowable=True,
    id="multimodal.understand",
    version="1",
    title="Understand images, PDFs and recordings",
    description=(
        "Reads images, PDFs (including scanned ones) and speech. Answers a question with the regions or time"
        " spans that support the answer, or fills a JSON Schema with a confidence and a source region for"
        " every property."
    ),
    input=UnderstandInput,
    output=UnderstandOutput,
    entry="pipelines.multimodal.graph:build",
    scopes=frozenset({"files:read"}),
    examples=EXAMPLES,
    deadline_seconds=3600,
    price_hint="free with the embedded models; with a vision model, one call that reads every page",
)
