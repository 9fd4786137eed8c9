"""``chat/completions`` as OpenAI's own client asks for them, answered by real workers."""

import base64
import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.factories.openai_stack import WORDS, OpenAIStack
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("openai")]

TEXT = "".join(WORDS)
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
DOCUMENT = "Claims for damaged parcels must be filed within seven days of delivery. Lost parcels are refunded in full."


def ask(text: str) -> Any:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def job_of(stack: OpenAIStack, completion_id: str) -> dict[str, Any]:
    with stack.plain() as plain:
        found: dict[str, Any] = plain.get(f"/v1/jobs/job_{completion_id.removeprefix('chatcmpl-')}").json()
    return found


def test_an_answer_is_a_job_that_is_metered(client: OpenAI, stack: OpenAIStack) -> None:
    answer = client.chat.completions.create(
        model="writer", messages=ask("Say hello"), metadata={"ticket": "4711"}, user="u-1", max_completion_tokens=50
    )
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "writer"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    job = job_of(stack, answer.id)
    assert (job["capability"], job["state"]) == ("models.chat", "succeeded")
    assert job["metadata"] == {"ticket": "4711", "end_user": "u-1", "openai.object": "chat.completion"}
    assert [line["output_tokens"] for line in job["usage"]] == [answer.usage.completion_tokens]
    assert (job["disclosure"]["ai_generated"], job["disclosure"]["model"]) == (True, "writer")
    assert answer.model_extra == {"waybill": {"disclosure": job["disclosure"]}}
    sent = stack.provider.requests[-1].body
    assert sent["messages"] == ask("Say hello")
    assert sent["max_tokens"] == 50


def test_a_stream_comes_in_pieces_and_ends_with_its_usage(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="writer", messages=ask("Say hello"), stream=True, stream_options={"include_usage": True}
        )
    )
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(texts) == TEXT
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens > 0
    [marked] = [chunk for chunk in chunks if chunk.model_extra]
    assert marked.choices[0].finish_reason == "stop"
    assert marked.model_extra
    assert marked.model_extra["waybill"]["disclosure"]["ai_generated"] is True
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_clients_own_stream_helper_reads_it(client: OpenAI) -> None:
    with client.chat.completions.stream(model="writer", messages=ask("Say hello")) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == TEXT


def test_tools_go_to_the_model_and_its_calls_come_back(client: OpenAI, stack: OpenAIStack) -> None:
    asked = ask("Use your TOOL")
    answer: Any = client.chat.completions.create(model="writer", messages=asked, tools=TOOLS)
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls
    assert call.type == "function"
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == (
        "call_weather",
        "get_weather",
        {"city": "Gdańsk"},
    )
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "raining"}
    again = client.chat.completions.create(
        model="writer", messages=[*asked, answer.choices[0].message.model_dump(), result], tools=TOOLS
    )
    assert again.choices[0].message.content == "It is raining."
    assert stack.provider.requests[-1].body["messages"][-1]["tool_call_id"] == "call_weather"


def test_streamed_tool_calls_are_put_together_by_the_client(client: OpenAI) -> None:
    with client.chat.completions.stream(model="writer", messages=ask("Use your TOOL"), tools=TOOLS) as stream:
        stream.until_done()
        message: Any = stream.get_final_completion().choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["get_weather"]


def test_structured_output_obeys_the_schema(client: OpenAI, stack: OpenAIStack) -> None:
    class Claim(BaseModel):
        days: int
        reason: str

    parsed = client.chat.completions.parse(model="writer", messages=ask("Follow the SCHEMA"), response_format=Claim)
    assert parsed.choices[0].message.parsed == Claim(days=1, reason="text")
    assert stack.provider.requests[-1].body["response_format"]["json_schema"]["name"] == "Claim"


def test_pictures_are_passed_on_as_bytes(client: OpenAI, stack: OpenAIStack) -> None:
    url = f"data:image/png;base64,{base64.b64encode(b'picture').decode()}"
    parts: Any = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    client.chat.completions.create(model="writer", messages=[{"role": "user", "content": parts}])
    assert stack.provider.requests[-1].body["messages"][0]["content"][1]["image_url"]["url"] == url


def test_an_answer_that_was_cut_says_so(client: OpenAI) -> None:
    assert client.chat.completions.create(model="writer", messages=ask("LONG")).choices[0].finish_reason == "length"


def test_the_embedded_model_answers_from_what_it_is_given(client: OpenAI) -> None:
    text = f"{DOCUMENT}\n\nHow long may a claim for a damaged parcel be filed?"
    answer = client.chat.completions.create(model="local/extractive", messages=[{"role": "user", "content": text}])
    assert "within seven days" in (answer.choices[0].message.content or "")


def test_a_client_that_hangs_up_ends_the_model_call(client: OpenAI, stack: OpenAIStack) -> None:
    stream = client.chat.completions.create(model="writer", messages=ask("HOLD"), stream=True)
    first = next(iter(stream))
    stream.close()
    wait_until(lambda: job_of(stack, first.id)["state"] == "cancelled", timeout_seconds=20, what="the job's end")
    request = stack.provider.requests[-1]
    assert request.finished.wait(10)
    assert request.client_closed


def test_a_client_that_gives_up_waiting_ends_the_job(stack: OpenAIStack) -> None:
    with stack.client(timeout=1.5, max_retries=0) as hasty, stack.plain() as plain:
        for call in (hasty.chat.completions.create, hasty.responses.create):
            asked: Any = {"input": "HOLD"} if call == hasty.responses.create else {"messages": ask("HOLD")}
            with pytest.raises(openai.APITimeoutError):
                call(model="writer", **asked)
            last = plain.get("/v1/jobs?limit=1").json()["data"][0]["id"]
            wait_until(
                lambda job=last: plain.get(f"/v1/jobs/{job}").json()["state"] == "cancelled",  # type: ignore[misc]
                timeout_seconds=20,
                what="the job's end",
            )


def test_a_second_attempt_that_says_something_else_is_an_error_and_no_mixture(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="writer", messages=ask("CUT"), stream=True)
    said: list[str] = []
    with pytest.raises(openai.APIError, match="answered differently"):
        said.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert TEXT.startswith("".join(said))


def test_an_idempotency_key_gives_the_same_answer(client: OpenAI, stack: OpenAIStack) -> None:
    before = len(stack.provider.requests)
    headers = {"Idempotency-Key": "same-question"}
    answers = [
        client.chat.completions.create(model="writer", messages=ask("Say hello"), extra_headers=headers) for _ in "ab"
    ]
    assert answers[0] == answers[1]
    assert len(stack.provider.requests) == before + 1


REFUSED = [
    ({"model": "no-such-model"}, openai.NotFoundError, "model_not_found", "model"),
    ({"functions": [{"name": "f"}]}, openai.BadRequestError, "unsupported_parameter", "functions"),
    ({"web_search_options": {}}, openai.BadRequestError, "unsupported_parameter", "web_search_options"),
    ({"top_logprobs": 21}, openai.BadRequestError, "invalid_value", "top_logprobs"),
    ({"n": 17}, openai.BadRequestError, "invalid_value", "n"),
    ({"tool_choice": "required"}, openai.BadRequestError, "invalid_value", "tool_choice"),
    ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
    ({"metadata": {"openai.object": "x"}}, openai.BadRequestError, "invalid_value", "metadata.openai.object"),
]


@pytest.mark.parametrize(("change", "kind", "code", "param"), REFUSED)
def test_what_is_not_supported_is_refused_by_name(
    client: OpenAI, change: dict[str, Any], kind: type[openai.APIStatusError], code: str, param: str
) -> None:
    with pytest.raises(kind) as refused:
        client.chat.completions.create(**{"model": "writer", "messages": ask("Say hello")} | change)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_an_address_of_a_picture_is_not_fetched(client: OpenAI) -> None:
    parts: Any = [{"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="writer", messages=[{"role": "user", "content": parts}])
    assert refused.value.param == "messages.0.content.0.image_url.url"


def test_a_refusal_of_the_provider_is_an_error_that_is_not_repeated(client: OpenAI, stack: OpenAIStack) -> None:
    before = len(stack.provider.requests)
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="writer", messages=ask("REFUSE"))
    assert refused.value.code == "provider_refused"
    assert "400, invalid_prompt" in refused.value.message
    assert len(stack.provider.requests) == before + 1
    with pytest.raises(openai.APIError, match="refused"):
        list(client.chat.completions.create(model="writer", messages=ask("REFUSE"), stream=True))


def test_a_bad_key_and_a_wrong_address_are_refused_in_its_shape(stack: OpenAIStack, client: OpenAI) -> None:
    with stack.client(api_key="wb_live_nonsense") as stranger, pytest.raises(openai.AuthenticationError) as refused:
        stranger.chat.completions.create(model="writer", messages=ask("Say hello"))
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as unknown:
        client.get("/fine-tuning", cast_to=object)
    assert unknown.value.code == "unknown_url"
    with pytest.raises(openai.APIStatusError) as method:
        client.get("/embeddings", cast_to=object)
    assert method.value.status_code == 405


def test_models_are_those_of_the_gateway_and_the_capabilities(client: OpenAI) -> None:
    names = {model.id: model.owned_by for model in client.models.list()}
    assert names["writer"] == "waybill"
    assert names["local/extractive"] == "waybill"
    assert names["knowledge.search"] == "capability"
    assert client.models.retrieve("local/extractive").id == "local/extractive"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_embeddings_come_as_floats_and_as_bytes(client: OpenAI) -> None:
    model = "local/all-MiniLM-L6-v2-int8"
    made = client.embeddings.create(model=model, input=["a parcel", "a package", "the weather"])
    first, second, third = (each.embedding for each in made.data)
    assert len(first) == 384
    assert dot(first, first) == pytest.approx(1, abs=1e-4)
    assert dot(first, second) > dot(first, third)
    assert made.usage.prompt_tokens > 0
    floats = client.embeddings.create(model=model, input="a parcel", encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(first, abs=1e-6)
    same = client.embeddings.create(model=model, input="a parcel", dimensions=384)
    assert same.data[0].embedding == pytest.approx(first, abs=1e-6)
    with pytest.raises(openai.BadRequestError, match="vectors of 384 numbers, not of 8"):
        client.embeddings.create(model=model, input="a parcel", dimensions=8)
    with pytest.raises(openai.BadRequestError, match="token ids"):
        client.embeddings.create(model=model, input=[1, 2, 3])


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
