"""The responses of this dialect in the OpenAPI document: OpenAI's objects as far as clients rely on them."""

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from api.openai.dialect import PREFIX
from api.openapi import IDEMPOTENCY_KEY
from api.routing import new_router

# For a route that runs each ``Idempotency-Key`` only once.
ONCE = {"parameters": [IDEMPOTENCY_KEY]}


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")


class OpenAIErrorDetail(_Object):
    """The error. `waybill_code` is the code of the problem document that other routes would return."""

    message: str
    type: str
    param: str | None
    code: str
    waybill_code: str


class OpenAIError(BaseModel):
    """An error in OpenAI's format."""

    error: OpenAIErrorDetail


class _Answer(_Object):
    id: str
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


class ChatCompletion(_Answer):
    """An answer to a conversation. Its ``choices`` hold the messages."""

    object: Literal["chat.completion"]


class TextCompletion(_Answer):
    """An answer to a prompt. Its ``choices`` hold the texts."""

    object: Literal["text_completion"]


class Embedding(_Object):
    """A vector: numbers, or base64 of 32-bit floats if requested."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(_Object):
    """The vectors of all texts, in order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: dict[str, int]


class OpenAIModel(_Object):
    """A valid value of ``model``."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAIModelList(BaseModel):
    """All valid values of ``model``."""

    object: Literal["list"]
    data: list[OpenAIModel]


class OpenAIResponse(_Object):
    """A response. ``waybill`` holds its job, its cost and, for a capability, the whole result."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "cancelled", "failed"]
    model: str
    output: list[dict[str, Any]]
    error: dict[str, Any] | None
    usage: dict[str, Any] | None
    waybill: dict[str, Any]


class OpenAIFile(_Object):
    """A file's record."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str


class OpenAIBatch(_Object):
    """A batch of requests."""

    id: str
    object: Literal["batch"]
    endpoint: str
    input_file_id: str
    output_file_id: str | None
    error_file_id: str | None
    status: str
    created_at: int
    request_counts: dict[str, int]


class Deleted(BaseModel):
    """Confirmation of a deletion."""

    id: str
    object: str
    deleted: Literal[True]


class _Page(BaseModel):
    object: Literal["list"]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ItemPage(_Page):
    """A page of a conversation's items."""

    data: list[dict[str, Any]]


class FilePage(_Page):
    """A page of files."""

    data: list[OpenAIFile]


class BatchPage(_Page):
    """A page of batches."""

    data: list[OpenAIBatch]


def dialect_router(path: str) -> APIRouter:
    """A router below ``/openai/v1`` with documented errors, and ``openai_`` in front of its operation ids."""
    router = new_router(PREFIX + path, "openai")
    router.generate_unique_id_function = _operation_id
    router.responses = {
        "4XX": {"model": OpenAIError, "description": "The request was refused. See `error.code`."},
        "5XX": {"model": OpenAIError, "description": "Waybill failed. `x-should-retry` says whether to try again."},
    }
    return router


def answers(model: type[BaseModel], *, stream: str | None = None) -> dict[int | str, dict[str, Any]]:
    """The documented response of a route: `model` as JSON and, if given, `stream` as events."""
    content = {"text/event-stream": {"schema": {"type": "string", "description": stream}}} if stream else {}
    return {200: {"model": model, "description": "The response.", **({"content": content} if content else {})}}


def _operation_id(route: APIRoute) -> str:
    return f"openai_{route.name}"
