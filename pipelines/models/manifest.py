"""The capabilities of the models folder: a model of the registry by itself, as a job like any other."""

from core.capability import Manifest
from pipelines.models.schemas import CHAT_EXAMPLES, EMBED_EXAMPLES, ChatInput, ChatOutput, EmbedInput, EmbedOutput

CHAT = Manifest(
    id="models.chat",
    version="1",
    title="Call a model",
    description=(
        "Continues a conversation with one message of a model of the registry: text, calls of your tools, or"
        " JSON that matches a schema. The text streams as `message.delta` events. `/openai/v1` uses this"
        " capability."
    ),
    input=ChatInput,
    output=ChatOutput,
    entry="pipelines.models.chat:build",
    examples=CHAT_EXAMPLES,
    deadline_seconds=600,
    price_hint="one call of the named model",
    shadowable=True,
)

EMBED = Manifest(
    id="models.embed",
    version="1",
    title="Embed texts",
    description=(
        "Turns texts into vectors with an embedding model of the registry. `/openai/v1/embeddings` uses this"
        " capability."
    ),
    input=EmbedInput,
    output=EmbedOutput,
    entry="pipelines.models.embed:build",
    examples=EMBED_EXAMPLES,
    written_by="none",
    deadline_seconds=600,
    price_hint="free with the embedded model; otherwise the cost of the named model",
)
