"""Parameters that chat completions and responses share, and values that stand for "as if it had been left out"."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pipelines.models.schemas import OUTPUT_TOKENS_MAX, Name

METADATA_MAX = 16
MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[dict[MetadataName, MetadataValue], Field(max_length=METADATA_MAX)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
OutputTokens = Annotated[int, Field(ge=1, le=OUTPUT_TOKENS_MAX)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Text512 = Annotated[str, StringConstraints(max_length=512)]
# The gateway has no such knob: the value that changes nothing is taken, any other is refused.
Zero = Annotated[float, Field(ge=0, le=0)]
One = Annotated[float, Field(ge=1, le=1)]


class Strict(BaseModel):
    """Refuses what it does not know, by name."""

    model_config = ConfigDict(extra="forbid")


class Common(Strict):
    """What both routes take. Below: read and of no consequence, as docs/reference/openai.md says."""

    model: ModelName
    metadata: Metadata | None = None
    user: Text512 | None = None
    safety_identifier: Text512 | None = None
    temperature: Temperature | None = None
    top_p: One | None = None
    stream: bool | None = None
    store: bool | None = None
    parallel_tool_calls: Literal[True] | None = None
    service_tier: Literal["auto", "default"] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None


class JsonSchema(Strict):
    """A schema that the answer must obey."""

    name: Name = "answer"
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None
