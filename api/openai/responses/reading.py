"""A response's body as the input of `models.chat`."""

from typing import Any

from api.openai.chat.reading import schema_of
from api.openai.errors import refuse
from api.openai.parameters import options_of
from api.openai.responses.items import Messages, messages_of
from api.openai.responses.schemas import LOGPROBS, CreateResponse, FunctionTool, ObjectFormat, SchemaFormat


def input_of(body: CreateResponse, before: Messages) -> dict[str, Any]:
    """The input: instructions, then the messages `before`, then the new ones. Raises `Refused`."""
    if body.capability_input is not None:
        raise refuse("capability_input", "capability_input: only allowed with a capability")
    instructions: Messages = [] if body.instructions is None else [{"role": "system", "content": body.instructions}]
    found: dict[str, Any] = {"model": body.model, "messages": [*instructions, *before, *messages_of(body.input)]}
    if body.max_output_tokens is not None:
        found["max_output_tokens"] = body.max_output_tokens
    if body.temperature is not None:
        found["temperature"] = body.temperature
    tools = [_tool(tool, number) for number, tool in enumerate(body.tools or ())]
    if tools:
        found["tools"] = tools
        choice = body.tool_choice
        if choice is not None:
            found["tool_choice"] = choice if isinstance(choice, str) else choice.name
    elif body.tool_choice not in (None, "auto", "none"):
        raise refuse("tool_choice", "tool_choice: the request has no tools")
    form = None if body.text is None else body.text.format
    if isinstance(form, ObjectFormat):
        found["json_object"] = True
    elif isinstance(form, SchemaFormat):
        found |= schema_of(form)
    reasoning = None if body.reasoning is None else body.reasoning.effort
    verbosity = None if body.text is None else body.text.verbosity
    wants_logprobs = bool(body.top_logprobs) or LOGPROBS in (body.include or ())
    return found | options_of(
        body, reasoning_effort=reasoning, verbosity=verbosity, logprobs=True if wants_logprobs else None
    )


def _tool(tool: Any, number: int) -> dict[str, Any]:
    if not isinstance(tool, FunctionTool):
        raise refuse(f"tools.{number}", "tools: must be functions; to search, use knowledge.search as model")
    found: dict[str, Any] = {"name": tool.name, "description": tool.description or ""}
    if tool.parameters is not None:
        found["parameters"] = tool.parameters
    if tool.strict is not None:
        found["strict"] = tool.strict
    return found
