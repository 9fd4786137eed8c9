"""``chat/completions`` as it is sent."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.openai.parameters import Common, JsonSchema, OutputTokens, Strict
from pipelines.models.schemas import CHOICES_MAX, MESSAGES_MAX, TOOLS_MAX, Name


class TextPart(Strict):
    """Text."""

    type: Literal["text"]
    text: str


class ImageUrl(Strict):
    """An image. Only a ``data:`` URL is supported."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Strict):
    """An image."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class CalledFunction(Strict):
    """The function that was called."""

    name: str
    arguments: str


class ToolCall(Strict):
    """A tool call by the assistant."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(Strict):
    """A message of any role. An assistant's message may be sent back as it was received."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    # Other servers' answers carry it, and their clients send it back; no provider takes it.
    reasoning_content: str | None = None


class Function(Strict):
    """A tool's function."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    """A tool that the model may call."""

    type: Literal["function"]
    function: Function


class NamedFunction(Strict):
    """The name of a function."""

    name: str


class NamedTool(Strict):
    """The tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


class TextFormat(Strict):
    """Text."""

    type: Literal["text"]


class ObjectFormat(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaFormat(Strict):
    """JSON that matches a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


Format = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


class StreamOptions(Strict):
    """Stream options. Nothing is obfuscated, whatever is requested."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


Stop = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class CreateCompletion(Common):
    """The body."""

    messages: list[Message] = Field(min_length=1, max_length=MESSAGES_MAX)
    tools: list[Tool] | None = Field(None, max_length=TOOLS_MAX)
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    response_format: Format | None = None
    stop: Stop | list[Stop] | None = None
    max_tokens: OutputTokens | None = None
    max_completion_tokens: OutputTokens | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=CHOICES_MAX)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: list[Literal["text"]] | None = None
