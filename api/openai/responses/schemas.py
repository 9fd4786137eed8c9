"""Request schemas of ``responses``."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from api.openai.parameters import Common, JsonSchema, OutputTokens, Strict
from pipelines.models.schemas import MESSAGES_MAX, TOOLS_MAX, Name


class TextPart(Strict):
    """Text of a person or of an earlier answer, which may be sent back as it was received."""

    type: Literal["input_text", "output_text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None
    # The SDK's parsed answers carry it.
    parsed: Any = None


class ImagePart(Strict):
    """An image: a ``data:`` URL, or a file's id for a capability."""

    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None


class FilePart(Strict):
    """A file for capabilities that read files: its id, or its bytes as a ``data:`` URL."""

    type: Literal["input_file"]
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None


LOGPROBS = "message.output_text.logprobs"
Part = Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")]


class MessageItem(Strict):
    """A message."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Part]
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class CallItem(Strict):
    """A tool call that an earlier response requested."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None
    parsed_arguments: Any = None


class CallOutputItem(Strict):
    """The output of the tool."""

    type: Literal["function_call_output"]
    call_id: str
    output: str | list[TextPart]
    id: str | None = None
    status: str | None = None


class ReasoningItem(Strict):
    """The reasoning of an earlier response, as it was received. No provider accepts it back."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: list[Any] | None = None
    content: list[Any] | None = None
    encrypted_content: str | None = None
    status: str | None = None


class ItemReference(Strict):
    """An item of a stored response, by its id."""

    type: Literal["item_reference"] = "item_reference"
    id: str


def _kind(item: Any) -> str:
    if not isinstance(item, dict):
        return str(getattr(item, "type", "message"))
    kind = item.get("type")
    return str(kind or ("item_reference" if "id" in item and "role" not in item else "message"))


Item = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[ItemReference, Tag("item_reference")],
    Discriminator(_kind),
]


class FunctionTool(Strict):
    """A tool of the client."""

    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FileSearchTool(Strict):
    """Where a capability searches: ids of knowledge bases."""

    type: Literal["file_search"]
    vector_store_ids: list[str] = Field(min_length=1, max_length=20)


Tool = Annotated[FunctionTool | FileSearchTool, Field(discriminator="type")]


class NamedTool(Strict):
    """The tool that must be called."""

    type: Literal["function"]
    name: str


class TextFormat(Strict):
    """Text."""

    type: Literal["text"]


class ObjectFormat(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaFormat(JsonSchema):
    """JSON that matches a schema."""

    type: Literal["json_schema"]


class TextOptions(Strict):
    """The format of the answer."""

    verbosity: str | None = None

    format: Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")] | None = None


class Reasoning(Strict):
    """Reasoning effort. No summary is returned, whichever is requested."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class StreamOptions(Strict):
    """Stream options. Nothing is obfuscated, whatever is requested."""

    include_obfuscation: bool | None = None


class CreateResponse(Common):
    """The body. `capability_input` is an extension: fields of a capability's input in addition to the text."""

    input: str | Annotated[list[Item], Field(min_length=1, max_length=MESSAGES_MAX)]
    instructions: str | None = None
    previous_response_id: str | None = None
    background: bool | None = None
    max_output_tokens: OutputTokens | None = None
    tools: list[Tool] | None = Field(None, max_length=TOOLS_MAX)
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    stream_options: StreamOptions | None = None
    capability_input: dict[str, Any] | None = None
    truncation: Literal["disabled"] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] | None = None
