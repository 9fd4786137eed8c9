"""Parameters that chat completions and responses share, and values that are equivalent to leaving them out."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pipelines.models.schemas import OUTPUT_TOKENS_MAX, ChatOptions, Name

METADATA_MAX = 16
MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[dict[MetadataName, MetadataValue], Field(max_length=METADATA_MAX)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
OutputTokens = Annotated[int, Field(ge=1, le=OUTPUT_TOKENS_MAX)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Text512 = Annotated[str, StringConstraints(max_length=512)]


class Strict(BaseModel):
    """Refuses unknown parameters by name. A null parameter counts as left out, whether it is known or not."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_unknown_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {name: value for name, value in given.items() if value is not None or name in known}


class Common(Strict):
    """The parameters of both routes.

    `store` is accepted and has no effect on completions (docs/reference/openai.md).
    """

    model: ModelName
    metadata: Metadata | None = None
    user: Text512 | None = None
    safety_identifier: Text512 | None = None
    temperature: Temperature | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: Text512 | None = None
    stream: bool | None = None
    store: bool | None = None
    service_tier: str | None = None
    prompt_cache_retention: str | None = None


def options_of(body: Common, **more: Any) -> dict[str, Any]:
    """Options passed to the provider unchanged: the field `options` of `models.chat`'s input; may be empty."""
    named = {name: getattr(body, name) for name in ChatOptions.model_fields if name in body.model_fields_set}
    found = {name: value for name, value in {**named, **more}.items() if value is not None}
    return {"options": found} if found else {}


class JsonSchema(Strict):
    """A schema that the answer must match."""

    name: Name = "answer"
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None
