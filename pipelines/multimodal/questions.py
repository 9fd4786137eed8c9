"""Asks a model that writes JSON, through LangChain: lines, pictures if it sees, and the schema of the answer."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage

from core.gateway.calls import JobModels
from core.gateway.routing import CHAT
from core.guard.provenance import as_data
from core.kit.errors import CapabilityFailure
from pipelines._kit.langchain_model import GatewayChatModel
from pipelines._kit.prompts import choose_prompt

_PACKAGE = "pipelines.multimodal"
_MAX_TOKENS = 4096
_CHARACTERS_MAX = 200_000

ANSWER: dict[str, Any] = {
    "title": "answer",
    "type": "object",
    "properties": {
        "answered": {"type": "boolean"},
        "answer": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["answered", "answer", "lines"],
    "additionalProperties": False,
}


def answer_schema(fill: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the model's answer for `fill`: every value may be null, and names the lines that hold it."""
    names = list(fill["properties"])
    numbers = {"type": "array", "items": {"type": "integer"}}
    return {
        "title": "filled",
        "type": "object",
        "properties": {
            "values": _closed(
                {name: {"anyOf": [schema, {"type": "null"}]} for name, schema in fill["properties"].items()}
            ),
            "sources": _closed(dict.fromkeys(names, numbers)),
        },
        "required": ["values", "sources"],
        "additionalProperties": False,
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False
    }  # fmt: skip


def ask(
    models: JobModels,
    prompt: str,
    schema: dict[str, Any],
    *,
    task: str,
    lines: Sequence[Mapping[str, Any]],
    pictures: Sequence[Path],
) -> tuple[dict[str, Any], dict[str, str]]:
    """The model's object, and the digest of the prompt by its name.

    Raises `CapabilityFailure` (``answer_malformed``) when the object does not obey `schema`, and
    `core.gateway.errors.GatewayError`.
    """
    from jsonschema import Draft202012Validator

    model = GatewayChatModel(models=models, model=CHAT, max_output_tokens=_MAX_TOKENS)
    system = choose_prompt(models, models.resolve(CHAT), _PACKAGE, prompt)
    numbered = "\n".join(f"{number}: {line['text']}" for number, line in enumerate(lines))
    if len(numbered) > _CHARACTERS_MAX:
        raise CapabilityFailure(
            "These files hold more text than one call reads. Send fewer pages.", code="text_too_long"
        )
    text = f"<lines>\n{as_data(numbered.replace('</lines', '< /lines'))}\n</lines>\n\n{task}"
    content: list[str | dict[str, Any]] = [{"type": "text", "text": text}, *(_block(path) for path in pictures)]
    said = model.with_structured_output(schema, include_raw=True).invoke(
        [SystemMessage(system.text), HumanMessage(content)]
    )
    found = said["parsed"] if isinstance(said, dict) else None
    if not isinstance(found, dict) or not Draft202012Validator(schema).is_valid(found):
        raise CapabilityFailure(
            "The model's answer does not obey its schema.", code="answer_malformed", retryable=False
        )
    return found, {prompt: system.digest}


def task_of(question: str | None, fill: Mapping[str, Any] | None) -> str:
    """The task for the model, in words."""
    return f"Question: {question}" if fill is None else f"Fill this form: {json.dumps(fill['properties'])}"


def _block(path: Path) -> dict[str, Any]:
    data = base64.b64encode(path.read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}
