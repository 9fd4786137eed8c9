"""The capability of the customer operations folder: resolving a customer's message."""

from core.capability import Manifest
from pipelines.customer_operations.schemas import EXAMPLES, ResolveInput, ResolveOutput

RESOLVE = Manifest(
    id="customer_operations.resolve",
    version="1",
    title="Resolve a customer's message",
    description=(
        "Finds out what a customer wants, looks it up in the company's own system, decides by policy tables,"
        " acts through tools under limits, and drafts the reply with quotes of the policies. Moves money"
        " above the project's threshold only after a person has approved it, and never on the message's word"
        " alone."
    ),
    input=ResolveInput,
    output=ResolveOutput,
    entry="pipelines.customer_operations.graph:build",
    scopes=frozenset({"knowledge:read"}),
    examples=EXAMPLES,
    written_by="machine",
    graph_version=2,
    migrations={1: "pipelines.customer_operations.migrations:from_version_1"},
    deadline_seconds=31 * 86_400,
    price_hint="free with the embedded models; with an endpoint configured, two calls over the message and its facts",
)
