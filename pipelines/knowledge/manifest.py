"""The capabilities of the knowledge folder: filling a knowledge base with documents, and asking it."""

from core.capability import Manifest
from pipelines.knowledge.documents.formats import READ_FORMATS
from pipelines.knowledge.schemas import (
    INGEST_EXAMPLES,
    SEARCH_EXAMPLES,
    IngestInput,
    IngestOutput,
    SearchInput,
    SearchOutput,
)

SEARCH = Manifest(
    shadowable=True,
    id="knowledge.search",
    version="1",
    title="Ask a knowledge base",
    description=(
        "Finds passages by meaning and by words, and answers from them with quotes that were verified in the"
        " documents. Reports when the documents do not answer the question. The answer streams as"
        " `message.delta` events."
    ),
    input=SearchInput,
    output=SearchOutput,
    entry="pipelines.knowledge.search:build",
    scopes=frozenset({"knowledge:read"}),
    examples=SEARCH_EXAMPLES,
    deadline_seconds=300,
    price_hint="free with the embedded models; with an endpoint configured, one call that reads `limit` passages",
)

INGEST = Manifest(
    id="knowledge.ingest",
    version="1",
    title="Ingest documents",
    description=(
        f"Reads {READ_FORMATS} into a knowledge base: passages with page and section, embedded once"
        " per distinct text. Unchanged documents cost nothing, and a bad file fails alone, with its reason."
    ),
    input=IngestInput,
    output=IngestOutput,
    entry="pipelines.knowledge.ingest:build",
    scopes=frozenset({"knowledge:write"}),
    examples=INGEST_EXAMPLES,
    written_by="none",
    deadline_seconds=6 * 3600,
)
