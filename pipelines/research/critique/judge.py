"""The second check of claims, by a model that reads: one structured call for all that the first check left open."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from core.gateway.calls import JobModels
from core.gateway.models import ChatRequest, Text
from core.gateway.routing import CHAT
from core.guard.provenance import as_data
from pipelines.research.critique.claims import Claim
from pipelines.research.prompting import Prompts, show_sources
from pipelines.research.state import Found

NOT_JUDGED = "the model that checks it gave no verdict"
_TOKENS_BASE, _TOKENS_CLAIM = 150, 60
_REASON_MAX_CHARACTERS = 300


class Judgement(BaseModel):
    """What the model says of one claim."""

    claim: int
    supported: bool
    reason: str = ""


class Judgements(BaseModel):
    """What the model is to fill in."""

    verdicts: list[Judgement] = Field(description="One for every claim.")


def judge(
    models: JobModels, prompts: Prompts, claims: Sequence[Claim], sources: Sequence[Found]
) -> list[tuple[bool, str]]:
    """For each claim whether its sources support it, or else the reason. A claim without a verdict is not supported.

    Raises `core.gateway.errors.GatewayError`.
    """
    cited = sorted({number for claim in claims for number in claim.cited})
    lines = [
        json.dumps({"claim": number, "sources": claim.cited, "text": claim.text}, ensure_ascii=False)
        for number, claim in enumerate(claims, start=1)
    ]
    shown = show_sources((number, sources[number - 1]) for number in cited)
    request = ChatRequest.of_parts(
        (Text(f"{shown}\n\nClaims, one a line:\n" + as_data("\n".join(lines))),),
        system=prompts.text("judge"),
        output_schema=_schema(),
        output_name="verdicts",
        max_output_tokens=_TOKENS_BASE + _TOKENS_CLAIM * len(claims),
    )
    with models.chat(CHAT, request) as stream:
        text = "".join(chunk.text for chunk in stream)
    try:
        said = {each.claim: each for each in Judgements.model_validate_json(text).verdicts}
    except ValidationError:
        said = {}
    return [_read(said.get(number)) for number in range(1, len(claims) + 1)]


def _read(verdict: Judgement | None) -> tuple[bool, str]:
    if verdict is None:
        return False, NOT_JUDGED
    reason = " ".join(verdict.reason.split())[:_REASON_MAX_CHARACTERS] or "the source does not say it"
    return verdict.supported, "" if verdict.supported else reason


def _schema() -> dict[str, Any]:
    verdict = {
        "type": "object",
        "properties": {
            "claim": {"type": "integer"},
            "supported": {"type": "boolean"},
            "reason": {"type": "string"},
        },
        "required": ["claim", "supported", "reason"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"verdicts": {"type": "array", "items": verdict}},
        "required": ["verdicts"],
        "additionalProperties": False,
    }
