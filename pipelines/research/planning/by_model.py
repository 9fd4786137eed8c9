"""Divides a question with a model that writes, in one structured call."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from core.gateway.calls import JobModels
from core.gateway.models import ChatRequest, Text
from core.gateway.routing import CHAT
from core.guard.provenance import as_data
from pipelines.research.prompting import Prompts
from pipelines.research.state import Found, Part

_MAX_TOKENS = 700
_TOPICS_MAX = 30
_QUESTION_MAX_CHARACTERS = 400


class Plan(BaseModel):
    """What the model is to fill in."""

    sub_questions: list[str] = Field(min_length=1)


def plan_by_model(
    models: JobModels, prompts: Prompts, question: str, found: Sequence[Found], most: int
) -> list[Part] | None:
    """At most `most` parts; None when the model's answer is not a plan. Raises `core.gateway.errors.GatewayError`."""
    topics = dict.fromkeys(f"{source['title']}: {source.get('section') or '-'}" for source in found)
    material = "\n".join(f"- {_data(topic)}" for topic in list(topics)[:_TOPICS_MAX]) or "- nothing yet"
    request = ChatRequest.of_parts(
        (
            Text(
                f"Question:\n{question}\n\nAt most {most} sub-questions.\n\n<topics>\n{as_data(material)}\n</topics>",
            ),
        ),
        system=prompts.text("plan"),
        output_schema=_schema(),
        output_name="plan",
        max_output_tokens=_MAX_TOKENS,
    )
    with models.chat(CHAT, request) as stream:
        text = "".join(chunk.text for chunk in stream)
    try:
        plan = Plan.model_validate_json(text)
    except ValidationError:
        return None
    asked = list(dict.fromkeys(" ".join(each.split())[:_QUESTION_MAX_CHARACTERS] for each in plan.sub_questions))
    return [_part(each) for each in asked if each][:most] or None


def _schema() -> dict[str, Any]:
    schema = Plan.model_json_schema()
    return {**schema, "additionalProperties": False}


def _data(text: str) -> str:
    return text.replace("<", "&lt;")


def _part(question: str) -> Part:
    return {"question": question, "query": question, "heading": question, "origin": "model"}
