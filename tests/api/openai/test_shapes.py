"""What changes the shape of an answer: several answers, probabilities, JSON, a bare prompt, files and references."""

import base64
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.factories.api import issue_key
from tests.factories.openai_stack import WORDS, OpenAIStack

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("openai"), pytest.mark.timeout(120)]
TEXT = "".join(WORDS)


def ask(text: str = "Say hello", role: str = "user") -> Any:
    return [{"role": role, "content": text}]


def test_several_answers_are_as_many_metered_calls(client: OpenAI, stack: OpenAIStack) -> None:
    before = len(stack.provider.requests)
    answer = client.chat.completions.create(model="writer", messages=ask(), n=3, max_completion_tokens=50)
    assert [(each.index, each.message.content, each.finish_reason) for each in answer.choices] == [
        (number, TEXT, "stop") for number in range(3)
    ]
    assert len(stack.provider.requests) == before + 3
    assert "n" not in stack.provider.requests[-1].body
    with stack.plain() as plain:
        job = plain.get(f"/v1/jobs/job_{answer.id.removeprefix('chatcmpl-')}").json()
    assert answer.usage
    spent = [line["output_tokens"] for line in job["usage"]]
    assert (len(spent), sum(spent)) == (3, answer.usage.completion_tokens)


def test_several_answers_in_chunks(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="writer", messages=ask(), n=2, stream=True))
    said = {0: "", 1: ""}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        said[choice.index] += choice.delta.content or ""
    assert said == {0: TEXT, 1: TEXT}
    ended = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason == "stop"]
    assert ended == [0, 1]


def test_probabilities_come_from_the_provider(client: OpenAI, stack: OpenAIStack) -> None:
    answer = client.chat.completions.create(model="writer", messages=ask(), logprobs=True, top_logprobs=2)
    assert answer.choices[0].logprobs
    assert [each.token for each in answer.choices[0].logprobs.content or ()] == list(WORDS)
    assert stack.provider.requests[-1].body["top_logprobs"] == 2
    stream = client.chat.completions.create(model="writer", messages=ask(), logprobs=True, stream=True)
    streamed = [
        each.token
        for chunk in stream
        for choice in chunk.choices
        if choice.logprobs
        for each in choice.logprobs.content or ()
    ]
    assert streamed == list(WORDS)
    response = client.responses.create(model="writer", input="x", include=["message.output_text.logprobs"])
    assert [each["token"] for each in response.model_dump()["output"][0]["content"][0]["logprobs"]] == list(WORDS)
    with pytest.raises(openai.BadRequestError, match="logprobs"):
        client.chat.completions.create(model="local/extractive", messages=ask("a\n\nb?"), logprobs=True)


def test_nothing_is_said_to_the_provider_that_the_caller_did_not_say(client: OpenAI, stack: OpenAIStack) -> None:
    client.chat.completions.create(model="declared", messages=ask())
    sent = stack.provider.requests[-1].body
    assert sent.keys() == {"model", "messages", "stream", "stream_options"}
    client.chat.completions.create(model="declared", messages=ask(), max_completion_tokens=20_000, temperature=0.5)
    sent = stack.provider.requests[-1].body
    assert (sent["max_tokens"], sent["temperature"]) == (9000, 0.5)
    # A model that declares nothing gets the bound for which money was set aside.
    client.chat.completions.create(model="writer", messages=ask())
    assert stack.provider.requests[-1].body["max_tokens"] == 4096


def test_json_mode_is_json_mode(client: OpenAI, stack: OpenAIStack) -> None:
    client.chat.completions.create(model="writer", messages=ask("JSON"), response_format={"type": "json_object"})
    assert stack.provider.requests[-1].body["response_format"] == {"type": "json_object"}
    form: Any = {"format": {"type": "json_object"}}
    response = client.responses.create(model="writer", input="JSON", text=form)
    assert stack.provider.requests[-1].body["response_format"] == {"type": "json_object"}
    assert response.text
    assert response.text.model_dump(exclude_none=True) == form


def test_a_conversation_of_system_messages_is_one(client: OpenAI, stack: OpenAIStack) -> None:
    answer = client.chat.completions.create(model="writer", messages=ask("Say hello", "system"))
    assert answer.choices[0].message.content == TEXT
    assert stack.provider.requests[-1].body["messages"] == ask("Say hello", "system")


def test_a_prompt_is_one_message_of_the_users(client: OpenAI, stack: OpenAIStack) -> None:
    answer = client.completions.create(model="writer", prompt="Say hello", n=2, max_tokens=40, stop="END", seed=3)
    assert [(each.index, each.text, each.finish_reason) for each in answer.choices] == [
        (0, TEXT, "stop"),
        (1, TEXT, "stop"),
    ]
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    sent = stack.provider.requests[-1].body
    assert (sent["messages"], sent["max_tokens"], sent["stop"], sent["seed"]) == (ask(), 40, ["END"], 3)
    chunks = list(
        client.completions.create(
            model="writer", prompt=["Say hello"], stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == TEXT
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert chunks[-1].usage


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"echo": True}, "echo"),
        ({"best_of": 2}, "best_of"),
        ({"suffix": "x"}, "suffix"),
        ({"logprobs": 3}, "logprobs"),
    ],
)
def test_what_a_conversation_cannot_do_is_refused_by_name(client: OpenAI, change: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(**{"model": "writer", "prompt": "x", **change})
    assert (refused.value.param or "").split(".")[0] == param


def test_items_are_referred_to_by_their_ids(client: OpenAI, stack: OpenAIStack) -> None:
    first = client.responses.create(model="writer", input="What is TOOL")
    call = first.output[0]
    assert call.type == "function_call"
    second = client.responses.create(
        model="writer",
        input=[
            {"role": "user", "content": "What is TOOL"},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "item_reference", "id": call.id or ""},
            {"type": "function_call_output", "call_id": call.call_id, "output": "Rain"},
        ],
    )
    assert second.output_text == "It is Rain."
    asked = stack.provider.requests[-1].body["messages"][-2]["tool_calls"][0]
    assert (asked["id"], asked["function"]["name"]) == (call.call_id, "get_weather")
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="writer", input=[{"type": "item_reference", "id": "msg_nothing"}])
    assert refused.value.param == "input.0"


def test_a_file_inside_a_request_becomes_one_of_the_projects(client: OpenAI, stack: OpenAIStack) -> None:
    data = base64.b64encode(b"Claims must be filed within seven days.").decode()
    part: Any = {"type": "input_file", "filename": "terms.txt", "file_data": f"data:text/plain;base64,{data}"}
    content: Any = [{"type": "input_text", "text": "How long?"}, part]
    asked: Any = {
        "model": "multimodal.understand",
        "input": [{"role": "user", "content": content}],
        "background": True,
        "metadata": {"data_class": "confidential"},
        "extra_headers": {"Idempotency-Key": "terms"},
    }
    response = client.responses.create(**asked)
    assert client.responses.create(**asked).id == response.id
    client.responses.cancel(response.id)
    made, *others = [each for each in client.files.list().data if each.filename == "terms.txt"]
    assert others == []
    assert client.files.content(made.id).text == "Claims must be filed within seven days."
    with stack.plain() as plain:
        assert plain.get(f"/v1/files/{made.id}").json()["data_class"] == "confidential"
    part["file_data"] = "https://example.com/terms.txt"
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="multimodal.understand", input=[{"role": "user", "content": content}])
    assert refused.value.param == "input.0.content.1"


def test_a_file_inside_a_request_that_is_refused_is_not_kept(stack: OpenAIStack) -> None:
    key = issue_key(stack.api.settings, organization="full")
    question = {"type": "input_text", "text": "How long?"}
    part = {"type": "input_file", "filename": "terms.txt", "file_data": "data:text/plain;base64,VGVybXM="}
    asked: Any = {"model": "multimodal.understand", "input": [{"role": "user", "content": [question, part]}]}
    with stack.client(api_key=key.plaintext) as client, stack.api.client(key) as plain:
        plain.put("/v1/limits/organization/jobs_per_day", json={"value": 1}).raise_for_status()
        client.responses.create(**asked, background=True)
        with pytest.raises(openai.RateLimitError) as refused:
            client.responses.create(**asked)
        assert refused.value.code == "insufficient_quota"
        assert len(client.files.list().data) == 1
    blobs = [path for path in stack.api.settings.home.rglob("*") if path.is_file() and path.read_bytes() == b"Terms"]
    assert len(blobs) == 1


def test_an_answer_names_the_parameters_that_its_model_does_not_take(client: OpenAI) -> None:
    asked: Any = {"model": "local/extractive", "messages": ask("Boxes weigh 3 kg.\n\nHow much?"), "seed": 3, "top_p": 1}
    answer = client.chat.completions.create(**asked)
    assert (answer.model_extra or {})["waybill"]["left_out"] == ["seed", "top_p"]
    *_, last = client.chat.completions.create(**asked, stream=True)
    assert (last.model_extra or {})["waybill"]["left_out"] == ["seed", "top_p"]
    response = client.responses.create(model="local/extractive", input="How much?", top_p=0.5)
    assert (response.model_extra or {})["waybill"]["left_out"] == ["top_p"]
    taken = client.chat.completions.create(**{**asked, "model": "writer"})
    assert "left_out" not in (taken.model_extra or {}).get("waybill", {})
