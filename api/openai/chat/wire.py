"""The result of `models.chat`, as a chat completion and as its chunks."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.jobs.records import JobRecord
from core.kit.ids import JOB, encode

_FINISHES = {"length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}


def completion_id(job: JobRecord) -> str:
    """The job's id, in the form that clients know."""
    return f"chatcmpl-{encode(JOB, job.id).partition('_')[2]}"


def completion(job: JobRecord, result: Mapping[str, Any]) -> dict[str, Any]:
    """``chat.completion``."""
    return {
        "id": completion_id(job),
        "object": "chat.completion",
        "created": int(job.created_at.timestamp()),
        "model": result["model"],
        "choices": [_whole(number, answer) for number, answer in enumerate(answers(result))],
        "usage": usage(result["usage"]),
        "system_fingerprint": None,
        "service_tier": "default",
        **ours(job, result),
    }


def answers(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All answers of a result, of which there are several when several were requested."""
    return [result, *result.get("others", ())]


def logprobs(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Their tokens' log probabilities; None where there are none."""
    given = answer.get("logprobs")
    return None if given is None else {"content": given, "refusal": None}


def _whole(number: int, answer: Mapping[str, Any]) -> dict[str, Any]:
    calls = [tool_call(call) for call in answer["tool_calls"]]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer["text"] or (None if calls else ""),
        "refusal": None,
        "annotations": [],
        **({"tool_calls": calls} if calls else {}),
    }
    return {"index": number, "message": message, "logprobs": logprobs(answer), "finish_reason": finish_reason(answer)}


def ours(job: JobRecord, result: Mapping[str, Any]) -> dict[str, Any]:
    """Members that OpenAI's object does not have: the mark of generated content, and unsupported parameters."""
    said = {"disclosure": job.disclosure, "left_out": result.get("left_out")}
    found = {name: value for name, value in said.items() if value}
    return {"waybill": found} if found else {}


def chunk(job: JobRecord, model: str, choices: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """``chat.completion.chunk``."""
    return {
        "id": completion_id(job),
        "object": "chat.completion.chunk",
        "created": int(job.created_at.timestamp()),
        "model": model,
        "choices": choices,
        **more,
    }


def choice(
    delta: Mapping[str, Any], finish: str | None = None, *, index: int = 0, logprobs: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The one choice of a chunk."""
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def finish_reason(result: Mapping[str, Any]) -> str:
    """Why it ended; a model without an answer ends normally here."""
    return _FINISHES.get(result["finish"], "stop")


def tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """One tool call."""
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": call["name"], "arguments": call["arguments"]},
    }


def usage(used: Mapping[str, Any]) -> dict[str, Any]:
    """``usage``, in totals."""
    return {
        "prompt_tokens": used["input_tokens"],
        "completion_tokens": used["output_tokens"],
        "total_tokens": used["input_tokens"] + used["output_tokens"],
        "prompt_tokens_details": {
            "cached_tokens": used["cached_input_tokens"],
            "cache_write_tokens": used["cache_write_tokens"],
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": used["reasoning_tokens"],
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
