"""A `Stored` response as OpenAI's ``response`` object."""

from typing import Any

from api.openai.errors import of_job
from api.openai.responses.items import call_item, message_item
from api.openai.responses.stored import Stored, job_id_of
from core.jobs.states import JobState
from core.kit.money import format_cost

_STATUSES = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "in_progress",
    JobState.WAITING: "in_progress",
    JobState.SUCCEEDED: "completed",
    JobState.CANCELLED: "cancelled",
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# Clients use it to tell a model's failure from a request that can never succeed.
_ERROR_CODES = {400: "invalid_prompt", 429: "rate_limit_exceeded"}


def to_wire(stored: Stored, status: str | None = None) -> dict[str, Any]:
    """The object. `status` replaces the job's own, for the first events."""
    job, given = stored.job, stored.given if stored.is_chat else {}
    options = given.get("options", {})
    begun = status or status_of(stored)
    ended = status is None and job.is_terminal
    return {
        "id": stored.id,
        "object": "response",
        "created_at": int(job.created_at.timestamp()),
        "status": begun,
        "background": stored.is_background,
        "completed_at": int(job.finished_at.timestamp()) if ended and job.finished_at and stored.result else None,
        "error": _error(stored) if ended else None,
        "incomplete_details": _incomplete(stored) if ended else None,
        "instructions": stored.instructions,
        "max_output_tokens": given.get("max_output_tokens"),
        "metadata": stored.metadata,
        "model": _model(stored),
        "output": output(stored) if ended else [],
        "parallel_tool_calls": options.get("parallel_tool_calls", True),
        "previous_response_id": stored.label("previous_response_id"),
        "reasoning": {"effort": options.get("reasoning_effort"), "summary": None},
        "service_tier": "default",
        "store": stored.label("store") == "true",
        "temperature": given.get("temperature", 1.0),
        "text": {"format": _format(stored)},
        "tool_choice": _tool_choice(stored),
        "tools": [_tool(tool) for tool in given.get("tools", ())],
        "top_logprobs": options.get("top_logprobs", 0),
        "top_p": options.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": usage(stored) if ended else None,
        "user": None,
        "waybill": _ours(stored, is_now=status is None, ended=ended),
    }


def status_of(stored: Stored) -> str:
    """The job's state, in OpenAI's terms."""
    if stored.result is not None and stored.is_chat and stored.result["finish"] in _INCOMPLETE:
        return "incomplete"
    return _STATUSES.get(stored.job.state, "failed")


def output(stored: Stored) -> list[dict[str, Any]]:
    """The items of an answer: its text, unless there are only tool calls."""
    if stored.result is None:
        return []
    calls = stored.tool_calls
    whole = "incomplete" if status_of(stored) == "incomplete" else "completed"
    logprobs = stored.result.get("logprobs") if stored.is_chat else None
    items = [message_item(message_id(stored), stored.text, whole, logprobs)] if stored.text or not calls else []
    return items + [call_item(call_id(stored, number), call) for number, call in enumerate(calls)]


def message_id(stored: Stored) -> str:
    """The id of the item that holds the text."""
    return f"msg_{stored.tail}"


def call_id(stored: Stored, number: int) -> str:
    """The id of a tool call's item."""
    return f"fc_{stored.tail}_{number}"


def usage(stored: Stored) -> dict[str, Any]:
    """Token totals: of the answer or, without one, of everything that the job has used."""
    lines = stored.job.usage
    used = {
        "input_tokens": sum(line["input_tokens"] for line in lines),
        "output_tokens": sum(line["output_tokens"] for line in lines),
        "cached_input_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        **(stored.result["usage"] if stored.is_chat and stored.result is not None else {}),
    }
    return {
        "input_tokens": used["input_tokens"],
        "input_tokens_details": {
            "cached_tokens": used["cached_input_tokens"],
            "cache_write_tokens": used["cache_write_tokens"],
        },
        "output_tokens": used["output_tokens"],
        "output_tokens_details": {"reasoning_tokens": used["reasoning_tokens"]},
        "total_tokens": used["input_tokens"] + used["output_tokens"],
    }


def _model(stored: Stored) -> str:
    if not stored.is_chat:
        return stored.job.capability
    return str(stored.result["model"] if stored.result is not None else stored.given["model"])


def _error(stored: Stored) -> dict[str, Any] | None:
    if stored.job.state in {JobState.SUCCEEDED, JobState.CANCELLED}:
        return None
    failure = of_job(stored.job)
    code = _ERROR_CODES.get(failure.status, "server_error")
    return {"code": code, "message": failure.message, "waybill_code": failure.code}


def _incomplete(stored: Stored) -> dict[str, str] | None:
    if status_of(stored) != "incomplete" or stored.result is None:
        return None
    return {"reason": _INCOMPLETE[stored.result["finish"]]}


def _format(stored: Stored) -> dict[str, Any]:
    schema = stored.given.get("output_schema") if stored.is_chat else None
    if schema is None:
        return {"type": "json_object" if stored.is_chat and stored.given.get("json_object") else "text"}
    name = stored.given.get("output_name")
    return {"type": "json_schema", "name": name, "schema": schema, "strict": stored.given.get("output_strict")}


def _tool_choice(stored: Stored) -> Any:
    choice = stored.given.get("tool_choice", "auto") if stored.is_chat else "auto"
    return choice if choice in {"auto", "none", "required"} else {"type": "function", "name": choice}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool["name"],
        "description": tool.get("description"),
        "parameters": tool.get("parameters"),
        "strict": tool.get("strict"),
    }


def _ours(stored: Stored, *, is_now: bool, ended: bool) -> dict[str, Any]:
    """Members that OpenAI's object does not have."""
    job = stored.job
    found: dict[str, Any] = {"job_id": job_id_of(stored), "capability": job.capability}
    if is_now:
        found |= {"state": job.state, "reason": job.reason}
    if ended:
        priced = job.is_priced and job.children_are_priced
        found["cost_usd"] = format_cost(job.cost_usd + job.children_cost_usd, priced=priced)
        found["priced"] = priced
        found["disclosure"] = job.disclosure
        found["left_out"] = (stored.result or {}).get("left_out", []) if stored.is_chat else []
        found["result"] = None if stored.is_chat else stored.result
    return found
