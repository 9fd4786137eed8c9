"""What a client sends reaches the provider's wire word for word, whatever route it takes: HTTP, Postgres, a worker."""

import base64
import json
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.factories.openai_stack import OpenAIStack

pytestmark = [pytest.mark.xdist_group("openai"), pytest.mark.timeout(120)]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reasoning": {"type": "string"},
        "answer": {"type": "number", "maximum": 6.02214076e23, "minimum": 1e-7, "multipleOf": 1.0},
        "Zulu": {"enum": ["\u00e9", "e\u0301", "\U0001f600", 123456789012345678901234567890]},
    },
    "required": ["reasoning", "answer", "Zulu"],
    "additionalProperties": False,
}
PICTURES = [f"data:image/png;base64,{base64.b64encode(name).decode()}" for name in (b"one", b"two")]


def picture(number: int, **more: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": PICTURES[number], **more}}


CONTENT = [
    {"type": "text", "text": "Before:"},
    picture(0, detail="low"),
    {"type": "text", "text": "After:\n\nsee"},
    {"type": "text", "text": " the second."},
    picture(1),
    {"type": "text", "text": "What changed?\n\n  Say it. "},
]
TOOL = {
    "type": "function",
    "function": {"name": "report", "description": "", "parameters": SCHEMA, "strict": True},
}


def text(value: Any) -> str:
    """Its JSON, in which the order of names shows."""
    return json.dumps(value)


def post(stack: OpenAIStack, body: dict[str, Any]) -> dict[str, Any]:
    """Send the body as it is written here, and return what the provider received."""
    headers = {"authorization": f"Bearer {stack.api.key.plaintext}"}
    answer = httpx.post(f"{stack.base_url}/chat/completions", json=body, headers=headers, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    return stack.provider.requests[-1].body


@pytest.mark.survive("F6")
def test_schemas_reach_the_model_in_the_order_in_which_they_were_written(stack: OpenAIStack) -> None:
    format_ = {"name": "verdict", "description": "What was found.", "schema": SCHEMA, "strict": False}
    sent = post(
        stack,
        {
            "model": "writer",
            "messages": [{"role": "user", "content": "Well?"}],
            "tools": [TOOL],
            "tool_choice": "none",
            "response_format": {"type": "json_schema", "json_schema": format_},
        },
    )
    assert text(sent["response_format"]["json_schema"]) == text(format_)
    assert text(sent["tools"]) == text([TOOL])


@pytest.mark.survive("F6")
def test_text_and_pictures_stay_in_their_order(stack: OpenAIStack) -> None:
    messages = [
        {"role": "system", "content": "First."},
        {"role": "user", "name": "anna", "content": CONTENT},
        {"role": "assistant", "content": "Nothing."},
        {"role": "system", "content": "Second."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    assert text(post(stack, {"model": "writer", "messages": messages})["messages"]) == text(messages)


def test_the_same_payload_as_a_job_reaches_the_model_in_its_order(stack: OpenAIStack) -> None:
    parts = [
        {"type": "text", "text": "Before:"},
        {"type": "image", "media_type": "image/png", "data": PICTURES[0].partition(",")[2]},
        {"type": "text", "text": "After:"},
        {"type": "image", "media_type": "image/png", "data": PICTURES[1].partition(",")[2]},
    ]
    given = {
        "model": "writer",
        "messages": [{"role": "user", "content": parts}],
        "output_schema": SCHEMA,
        "options": {"seed": 7, "logit_bias": {"b": 1.5, "a": -1}},
    }
    with stack.plain() as plain:
        made = plain.post(
            "/v1/jobs", json={"capability": "models.chat", "input": given}, headers={"prefer": "wait=30"}
        ).json()
        assert made["state"] == "succeeded", made
    sent = stack.provider.requests[-1].body
    assert text(sent["response_format"]["json_schema"]["schema"]) == text(SCHEMA)
    assert [part.get("text", "picture") for part in sent["messages"][0]["content"]] == [
        "Before:", "picture", "After:", "picture",
    ]  # fmt: skip
    assert (sent["seed"], text(sent["logit_bias"])) == (7, text({"b": 1.5, "a": -1.0}))


def test_a_response_keeps_its_parts_and_its_tools(client: OpenAI, stack: OpenAIStack) -> None:
    content: Any = [
        {"type": "input_text", "text": "Before:"},
        {"type": "input_image", "image_url": PICTURES[0], "detail": "high"},
        {"type": "input_text", "text": "After:"},
    ]
    tool: Any = {"type": "function", "name": "report", "parameters": SCHEMA, "strict": True}
    response = client.responses.create(
        model="writer",
        input=[{"role": "user", "content": content}],
        tools=[tool],
        parallel_tool_calls=False,
        top_p=0.5,
        reasoning={"effort": "low"},
        text={"verbosity": "low"},
    )
    sent = stack.provider.requests[-1].body
    assert [part["type"] for part in sent["messages"][0]["content"]] == ["text", "image_url", "text"]
    assert sent["messages"][0]["content"][1]["image_url"]["detail"] == "high"
    assert text(sent["tools"][0]["function"]["parameters"]) == text(SCHEMA)
    assert sent["tools"][0]["function"]["strict"] is True
    reported = {name: sent[name] for name in ("parallel_tool_calls", "top_p", "reasoning_effort", "verbosity")}
    assert reported == {"parallel_tool_calls": False, "top_p": 0.5, "reasoning_effort": "low", "verbosity": "low"}
    assert (response.parallel_tool_calls, response.top_p) == (False, 0.5)


PASSED_ON: dict[str, Any] = {
    "top_p": 0.95,
    "seed": 42,
    "presence_penalty": 0.1,
    "frequency_penalty": -0.5,
    "logit_bias": {"50256": -100.0},
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "verbosity": "low",
    "prompt_cache_key": "k",
    "service_tier": "flex",
    "user": "u-4711",
    "safety_identifier": "s-4711",
}
NULLS = (
    "n stop seed tools top_p logprobs logit_bias functions function_call prediction audio modalities reasoning_effort"
    " web_search_options response_format tool_choice user stream_options a_parameter_of_tomorrow"
)


def test_what_does_not_change_the_answers_shape_is_passed_on(stack: OpenAIStack) -> None:
    sent = post(
        stack, {"model": "writer", "messages": [{"role": "user", "content": "x"}], "tools": [TOOL], **PASSED_ON}
    )
    assert {name: sent.get(name) for name in PASSED_ON} == PASSED_ON


def test_null_is_the_same_as_left_out(stack: OpenAIStack) -> None:
    messages = [
        {"role": "user", "content": "x", "name": None},
        {"role": "assistant", "content": "y", "tool_calls": None, "function_call": None, "audio": None, "extra": None},
        {"role": "user", "content": "z"},
    ]
    sent = post(stack, {"model": "writer", "messages": messages, **dict.fromkeys(NULLS.split())})
    assert sent["messages"][1] == {"role": "assistant", "content": "y"}
    assert not {"seed", "top_p", "functions", "a_parameter_of_tomorrow"} & sent.keys()


@pytest.mark.survive("F2")
def test_mangled_text_of_a_model_is_mended_and_paid_for_once(client: OpenAI, stack: OpenAIStack) -> None:
    before = len(stack.provider.requests)
    messages: Any = [{"role": "user", "content": "MANGLED"}]
    whole = client.chat.completions.create(model="writer", messages=messages)
    streamed = client.chat.completions.create(model="writer", messages=messages, stream=True)
    pieces = "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
    assert whole.choices[0].message.content == pieces == "ab \U0001f600 \ufffd half"
    assert len(stack.provider.requests) == before + 2
    with stack.plain() as plain:
        job = plain.get(f"/v1/jobs/job_{whole.id.removeprefix('chatcmpl-')}").json()
    assert (job["state"], job["attempt"], len(job["usage"])) == ("succeeded", 1, 1)
