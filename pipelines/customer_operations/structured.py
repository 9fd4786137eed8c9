"""Asks the bound chat model for JSON, where it can write and may see the data; without it the tables still decide."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.gateway.calls import JobModels
from core.gateway.models import Ability, ChatRequest, Text
from core.gateway.routing import CHAT
from core.kit.errors import CapabilityFailure
from core.kit.json_values import loads_foreign
from core.kit.logging import get_logger

Read = TypeVar("Read", bound=BaseModel)
_log = get_logger(__name__)


def can_write(models: JobModels) -> bool:
    """Whether the bound chat model can write answers that obey a schema."""
    abilities = models.resolve(CHAT).abilities
    return Ability.WRITES in abilities and Ability.JSON_SCHEMA in abilities


def ask_json(
    models: JobModels,
    system: str,
    turn: str,
    *,
    kind: type[Read],
    schema: Mapping[str, Any] | None = None,
    max_tokens: int,
) -> Read | None:
    """The model's answer as `kind`; None when it is something else, or when the model may not or cannot answer now.

    The tables decide without a model, so a model that is down, too expensive or not allowed to see the data stops
    nothing.
    """
    request = ChatRequest.of_parts(
        (Text(turn),),
        system=system,
        output_schema=schema or kind.model_json_schema(),
        output_name="answer",
        max_output_tokens=max_tokens,
    )
    try:
        with models.chat(CHAT, request) as stream:
            answer = "".join(chunk.text for chunk in stream)
    except CapabilityFailure as failure:
        _log.info("model_left_out", code=failure.code)
        return None
    try:
        return kind.model_validate(loads_foreign(answer))
    except (ValueError, ValidationError):
        return None


def fenced(text: str) -> str:
    """An outside text that cannot end the element that holds it."""
    return text.replace("</", "< /")
