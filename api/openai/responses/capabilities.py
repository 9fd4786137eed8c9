"""A response whose ``model`` is a capability: how text becomes its input, and its result becomes text."""

import json
from collections.abc import Mapping
from typing import Any

from api.openai.errors import Refused, refuse
from api.openai.responses.schemas import CreateResponse, FilePart, FileSearchTool, ImagePart, MessageItem
from core.capability import Manifest
from core.kit.json_values import dumps

# Names of the text in a capability's input, of which the first match is used, and names of its answer.
_TEXT_FIELDS = ("query", "question", "message", "prompt", "text", "task", "topic")
_ANSWER_FIELDS = ("answer", "reply", "markdown", "text")
# Parameters that only apply to a model.
_FOR_MODELS = (
    "instructions",
    "previous_response_id",
    "max_output_tokens",
    "temperature",
    "tool_choice",
    "text",
)


def input_for(manifest: Manifest, body: CreateResponse) -> dict[str, Any]:
    """The capability's input: `capability_input`, the text, the files, and where to search.

    Text that is a JSON object is the input itself. Raises `Refused` for values that the capability has no field for.
    """
    for name in _FOR_MODELS:
        if getattr(body, name) is not None:
            raise refuse(name, f"Unsupported parameter: '{name}' with a capability.", code="unsupported_parameter")
    properties: Mapping[str, Any] = manifest.input.model_json_schema().get("properties", {})
    found = dict(body.capability_input or {})
    text, files = _said(body)
    whole = _object(text)
    if whole is not None:
        found |= whole
    elif text:
        found[_text_field(manifest, properties)] = text
    if files:
        _require("files", properties, "input", manifest)
        found["files"] = files
    for number, tool in enumerate(body.tools or ()):
        if not isinstance(tool, FileSearchTool):
            raise refuse(
                f"tools.{number}",
                ("tools: a capability has its own tools; only file_search is allowed, to say where to search"),
            )
        found |= _bases(tool.vector_store_ids, properties, f"tools.{number}", manifest)
    return found


def text_of(result: Mapping[str, Any]) -> str:
    """The text of a capability's result: its answer if it has one, else the result as JSON."""
    for name in _ANSWER_FIELDS:
        if isinstance(result.get(name), str):
            return str(result[name])
    return dumps(result).decode()


def question_of(given: Mapping[str, Any]) -> str:
    """The request to a capability: the text of its input if it has one, else the input as JSON."""
    return next((str(given[name]) for name in _TEXT_FIELDS if given.get(name)), None) or dumps(given).decode()


def _said(body: CreateResponse) -> tuple[str, list[str]]:
    if isinstance(body.input, str):
        return body.input, []
    if len(body.input) != 1 or not isinstance(body.input[0], MessageItem) or body.input[0].role != "user":
        raise refuse("input", "input: a capability accepts one user message, not a conversation")
    content = body.input[0].content
    if isinstance(content, str):
        return content, []
    texts, files = [], []
    for number, part in enumerate(content):
        if isinstance(part, ImagePart | FilePart):
            files.append(_file_id(part, f"input.0.content.{number}"))
        else:
            texts.append(part.text)
    return "\n\n".join(texts), files


def _file_id(part: ImagePart | FilePart, param: str) -> str:
    if part.file_id is None:
        raise refuse(param, f"{param}: send a file_id, or the bytes as a data: URL")
    return part.file_id


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text_field(manifest: Manifest, properties: Mapping[str, Any]) -> str:
    for name in _TEXT_FIELDS:
        if name in properties:
            return name
    required = manifest.input.model_json_schema().get("required", ())
    for name in required:
        if properties[name].get("type") == "string" and "pattern" not in properties[name]:
            return str(name)
    raise refuse(
        "input", f"input: {manifest.id} requires a JSON object; its schema is at /v1/capabilities/{manifest.id}"
    )


def _bases(ids: list[str], properties: Mapping[str, Any], param: str, manifest: Manifest) -> dict[str, Any]:
    if "knowledge_bases" in properties:
        return {"knowledge_bases": ids}
    _require("knowledge_base", properties, param, manifest)
    if len(ids) > 1:
        raise refuse(
            f"{param}.vector_store_ids", f"{param}.vector_store_ids: {manifest.id} searches one knowledge base"
        )
    return {"knowledge_base": ids[0]}


def _require(name: str, properties: Mapping[str, Any], param: str, manifest: Manifest) -> None:
    refused: Refused = refuse(param, f"{param}: {manifest.id} has no field {name}")
    if name not in properties:
        raise refused
