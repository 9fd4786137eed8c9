"""Inputs and results of `models.chat` and `models.embed`, published by the API as JSON Schema."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MESSAGES_MAX = 2000
TOOLS_MAX = 128
TEXTS_MAX = 2048
# The length of an answer when neither the caller nor the model's version sets one.
OUTPUT_TOKENS_DEFAULT = 4096
CHOICES_MAX = 16
OUTPUT_TOKENS_MAX = 200_000

Model = Annotated[
    str, Field(min_length=1, max_length=200, description="A model of the registry, or an alias.", examples=["default"])
]
# Valid names of a tool or a schema for every provider.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextPart(_Strict):
    """Text."""

    type: Literal["text"] = "text"
    text: str


class ImagePart(_Strict):
    """An image, by its bytes: addresses are not fetched."""

    type: Literal["image"] = "image"
    media_type: str = Field(pattern=r"^image/[a-z0-9.+-]{1,50}$", examples=["image/png"])
    data: str = Field(min_length=4, description="The bytes in base64.")
    detail: Literal["auto", "low", "high", "original"] | None = Field(
        None, description="The level of detail, for providers that support it."
    )


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ChatToolCall(_Strict):
    """A tool call. `arguments` is the JSON that the model wrote, valid or not."""

    id: str = Field(min_length=1, max_length=200)
    name: str = Field(min_length=1, max_length=200)
    arguments: str


class ChatMessage(_Strict):
    """One message. Messages and the parts of their content reach the model in order.

    For Anthropic's models, which have one place for them, system messages are moved to the front.
    """

    role: Literal["system", "user", "assistant", "tool"]
    name: str | None = Field(None, max_length=200, description="Distinguishes speakers with the same role.")
    content: str | list[Part] = ""
    tool_calls: list[ChatToolCall] = Field(default_factory=list, max_length=TOOLS_MAX)
    tool_call_id: str | None = Field(None, description="For a tool's message: the call that it answers.")

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError("every message of the role tool, and no other, must have a tool_call_id")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant's message may contain tool calls")
        if self.role != "user" and any(isinstance(part, ImagePart) for part in self.content):
            raise ValueError("only a user's message may contain images")
        return self


class ChatTool(_Strict):
    """A tool that the model may call. The submitter of the job runs it."""

    name: Name
    description: str = ""
    parameters: dict[str, Any] = Field(
        default_factory=lambda: {"type": "object", "properties": {}}, description="JSON Schema of its arguments."
    )
    strict: bool | None = Field(None, description="Whether the provider enforces the schema for the arguments.")


class ChatOptions(_Strict):
    """Parameters that are passed on unchanged to providers whose interface has them.

    The model's version in the registry takes precedence. Anthropic's interface has `top_p`, `top_k` and
    `parallel_tool_calls`. A model that does not support `logprobs` refuses them.
    """

    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = Field(None, max_length=40)
    verbosity: str | None = Field(None, max_length=40)
    prompt_cache_key: str | None = Field(None, max_length=512)
    prompt_cache_retention: str | None = Field(None, max_length=40)
    service_tier: str | None = Field(None, max_length=40)
    user: str | None = Field(None, max_length=512)
    safety_identifier: str | None = Field(None, max_length=512)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)


class ChatInput(_Strict):
    """A conversation to continue by one message."""

    model: Model
    messages: list[ChatMessage] = Field(
        min_length=1, max_length=MESSAGES_MAX, description="The conversation so far, oldest first."
    )
    tools: list[ChatTool] = Field(
        default_factory=list, max_length=TOOLS_MAX, description="Tools that the model may call."
    )
    tool_choice: str = Field("auto", max_length=64, description="`auto`, `none`, `required` or a tool's name.")
    output_schema: dict[str, Any] | None = Field(None, description="JSON Schema that the answer must match.")
    output_name: Name = Field("answer", description="Name of the schema. Some providers pass it to their models.")
    output_description: str | None = Field(
        None, description="Purpose of the schema. Some providers pass it to their models."
    )
    output_strict: bool | None = Field(
        None, description="Whether the provider enforces the schema. Default: if it supports that."
    )
    json_object: bool = Field(
        False, description="The answer must be a JSON object, without a schema. Not allowed with `output_schema`."
    )
    n: int = Field(1, ge=1, le=CHOICES_MAX, description="Number of answers. Each takes a call of its own.")
    stop: list[Annotated[str, StringConstraints(min_length=1, max_length=500)]] = Field(
        default_factory=list, max_length=4, description="The answer ends before any of these strings."
    )
    max_output_tokens: int | None = Field(
        None,
        ge=1,
        le=OUTPUT_TOKENS_MAX,
        description=(
            "Maximum length of the answer. Default: the maximum of the model's version, or"
            f" {OUTPUT_TOKENS_DEFAULT:,}. The cost of all tokens is reserved before the call."
        ),
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=2,
        description="0 always takes the most likely word; higher values vary more. Default: the model's own.",
    )
    options: ChatOptions = Field(default_factory=ChatOptions, description="More parameters for the provider.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.json_object and self.output_schema is not None:
            raise ValueError("`json_object` and `output_schema` exclude each other")
        names = {tool.name for tool in self.tools}
        if self.tool_choice not in {"auto", "none", "required", *names}:
            raise ValueError("`tool_choice` names a tool that is not in `tools`")
        return self


class ChatUsage(_Strict):
    """Token totals. `input_tokens` includes cached tokens, `output_tokens` includes reasoning."""

    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cached_input_tokens: int = Field(0, ge=0)
    cache_write_tokens: int = Field(0, ge=0)
    reasoning_tokens: int = Field(0, ge=0)
    estimated: bool = Field(False, description="The provider reported no usage, so the tokens were counted by Waybill.")


class ChatAnswer(_Strict):
    """One answer."""

    text: str
    tool_calls: list[ChatToolCall]
    finish: Literal["stop", "length", "tool_calls", "content_filter", "no_answer"] = Field(
        description="Why it ended. `no_answer`: the model reports that the input does not answer the question."
    )
    logprobs: list[dict[str, Any]] | None = Field(
        None,
        description=(
            "Log probabilities of each token, as the provider reports them. Not for an answer with pseudonyms."
        ),
    )


class ChatOutput(ChatAnswer):
    """The message that continues the conversation. `usage` covers all answers."""

    others: list[ChatAnswer] = Field(default_factory=list, description="The other answers, when `n` is above 1.")
    model: str = Field(description="The model that answered, which may be a fallback.")
    version: int | None = Field(description="Its version in the registry.")
    usage: ChatUsage
    left_out: list[str] = Field(
        default_factory=list, description="Parameters of the input that the model's provider does not support."
    )


class EmbedInput(_Strict):
    """Texts to embed."""

    model: Model
    texts: list[Annotated[str, StringConstraints(min_length=1)]] = Field(
        min_length=1, max_length=TEXTS_MAX, description="The texts. Each becomes one vector."
    )
    dimensions: int | None = Field(
        None, ge=1, le=65_536, description="Length of the vectors, for models that support shorter ones."
    )


class EmbedOutput(_Strict):
    """One vector of length 1 per text, in the order of the texts."""

    model: str
    dimensions: int = Field(ge=1)
    vectors: list[str] = Field(description="Base64 of little-endian 32-bit floats, `dimensions` of them per vector.")


CHAT_EXAMPLES = (
    {
        "model": "default",
        "messages": [
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": "Claims must be filed within seven days.\n\nHow long may a claim be filed?"},
        ],
        "max_output_tokens": 200,
    },
)
EMBED_EXAMPLES = ({"model": "embedding", "texts": ["Claims must be filed within seven days."]},)
