import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from core.capability import JobCancelled
from core.gateway.errors import BadResponse, GatewayError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from core.gateway.models import (
    ChatRequest,
    Finish,
    Image,
    Message,
    Question,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from core.gateway.providers.anthropic import Anthropic
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Script, Tokens, ToolUse, count_words

TOOL = ToolSpec("weather", "The weather of a place.", {"type": "object", "properties": {"place": {"type": "string"}}})
REQUEST = ChatRequest.of_parts((Question("What is the weather like?"),), system="You are brief.", max_output_tokens=50)


def go_on() -> None:
    """A check that never ends the call."""


@contextmanager
def serving(
    *scripts: Script, timeout_seconds: float = 5.0, **options: Any
) -> Iterator[tuple[ProviderSimulator, Anthropic]]:
    with ProviderSimulator(*scripts) as server:
        model = Anthropic(
            base_url=server.root_url,
            api_key="secret",
            model="claude",
            timeout_seconds=timeout_seconds,
            count_tokens=count_words,
            **options,
        )
        try:
            yield server, model
        finally:
            model.close()


def test_text_usage_and_names_come_through() -> None:
    tokens = Tokens(120, 9, cached=80, cache_write=10, reasoning=4)
    with (
        serving(Answer("It ", "rains.", usage=tokens, model="claude-2")) as (server, model),
        model.stream(REQUEST, check=go_on) as stream,
    ):
        assert [chunk.text for chunk in stream] == ["It ", "rains."]
    assert stream.finish is Finish.STOP
    assert stream.request_id == server.requests[0].request_id
    assert stream.model_reported == "claude-2"
    usage = stream.usage
    assert not usage.estimated
    assert (usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens) == (120, 80, 10)
    assert (usage.output_tokens, usage.reasoning_tokens) == (9, 4)
    assert usage.to_model_usage().quantities == {
        "input_tokens": 30,
        "cached_input_tokens": 80,
        "cache_write_tokens": 10,
        "output_tokens": 5,
        "reasoning_tokens": 4,
    }
    asked = server.requests[0]
    assert asked.headers["Authorization"] == "Bearer secret"
    assert asked.body["system"] == "You are brief."
    assert asked.body["max_tokens"] == 50


def test_a_conversation_with_tools_and_pictures_is_sent_as_this_wire_wants_it() -> None:
    call = ToolCall("t1", "weather", '{"place": "Oslo"}')
    messages = (
        Message(Role.USER, (Text("And here?"), Image("image/png", b"png"))),
        Message(Role.ASSISTANT, (Text("I look."), call)),
        Message(Role.TOOL, (ToolResult("t1", "rain"),)),
        Message(Role.TOOL, (ToolResult("t2", "no such tool", is_error=True),)),
    )
    with serving(Answer("Rain.")) as (server, model):
        list(model.stream(ChatRequest(messages=messages, tools=(TOOL,), tool_choice="required"), check=go_on))
    body = server.requests[0].body
    user, assistant, results = body["messages"]
    assert [block["type"] for block in user["content"]] == ["text", "image"]
    assert user["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": "cG5n"}
    assert assistant["content"][1] == {"type": "tool_use", "id": "t1", "name": "weather", "input": {"place": "Oslo"}}
    assert results["role"] == "user"
    assert [block["is_error"] for block in results["content"]] == [False, True]
    assert body["tool_choice"] == {"type": "any"}
    assert body["tools"][0]["input_schema"] == TOOL.parameters


def test_a_tool_call_in_fragments_comes_once_and_whole() -> None:
    uses = (ToolUse("weather", {"place": "Oslo"}, "t1"), ToolUse("weather", {"place": "Rome"}, "t2", fragments=9))
    request = ChatRequest.of_parts((Text("Both?"),), tools=(TOOL,))
    with serving(Answer("I look.", tool_calls=uses)) as (server, model):
        stream = model.stream(request, check=go_on)
        calls = [call for chunk in stream for call in chunk.tool_calls]
    assert calls == [ToolCall(use.id, use.name, use.text) for use in uses]
    assert stream.usage.output_tokens == server.bill().output


@pytest.mark.parametrize("native", [True, False])
def test_a_schema_is_obeyed_natively_or_by_a_tool_that_must_be_called(native: bool) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    script = Answer.of_json({"ok": True}) if native else Answer(tool_calls=(ToolUse("answer", {"ok": True}),))
    with serving(script, native_schema=native) as (server, model):
        request = ChatRequest.of_parts((Text("Is it?"),), output_schema=schema)
        chunks = list(model.stream(request, check=go_on))
    assert json.loads("".join(chunk.text for chunk in chunks)) == {"ok": True}
    assert not any(chunk.tool_calls for chunk in chunks)
    assert ("output_config" in server.requests[0].body) is native
    assert ("tools" in server.requests[0].body) is not native


@pytest.mark.parametrize("after", range(4))
def test_a_stream_cut_at_any_delta_is_metered_like_the_bill(after: int) -> None:
    with serving(Answer("one ", "two ", "three ", "four", cut_after=after)) as (server, model):
        stream = model.stream(REQUEST, check=go_on)
        with pytest.raises(BadResponse) as caught:
            list(stream)
    assert caught.value.code == "provider_stream_cut"
    assert stream.usage.estimated
    bill = server.bill()
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (bill.input, bill.output)
    assert bill.output == after


@pytest.mark.parametrize("after", range(1, 4))
def test_a_cancelled_stream_hangs_up_and_is_metered_like_the_bill(after: int) -> None:
    received: list[str] = []

    def check() -> None:
        if len(received) >= after:
            raise JobCancelled

    with serving(Answer(*["word "] * 4, hold_after=after)) as (server, model):
        stream = model.stream(REQUEST, check=check)
        with pytest.raises(JobCancelled):
            received.extend(chunk.text for chunk in stream)
        assert server.requests[0].finished.wait(5)
        assert server.requests[0].client_closed
    assert stream.usage.estimated
    assert stream.usage.output_tokens == server.bill().output == after


@pytest.mark.parametrize(
    ("script", "kind", "code", "retry_after"),
    [
        (Failure(status=529), ProviderUnavailable, "provider_unavailable", None),
        (Failure(status=429, retry_after="7"), ProviderUnavailable, "provider_rate_limited", 7),
        (Failure(status=500), ProviderUnavailable, "provider_unavailable", None),
        (Failure(status=401), ProviderRefused, "provider_key_refused", None),
        (Failure(status=402, kind="billing_error"), ProviderRefused, "provider_quota_exhausted", None),
        (Failure(status=404), ProviderRefused, "provider_model_unknown", None),
        (Failure(status=400), ProviderRefused, "provider_refused", None),
        (Answer("one ", "two", error_after=1), ProviderUnavailable, "provider_unavailable", None),
        (Answer("one ", "two", malformed_after=1), BadResponse, "provider_bad_response", None),
        (Answer("one ", "two", finish_reason=None), BadResponse, "provider_stream_cut", None),
    ],
)
def test_a_refusal_keeps_what_the_caller_needs_to_decide(
    script: Script, kind: type[GatewayError], code: str, retry_after: int | None
) -> None:
    with serving(script) as (server, model), pytest.raises(GatewayError) as caught:
        list(model.stream(REQUEST, check=go_on))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.retry_after_seconds) == (code, retry_after)
    assert len(server.requests) == 1, "the client must not retry by itself"


def test_silence_is_a_timeout() -> None:
    script = Answer("late", first_token_seconds=60)
    with serving(script, timeout_seconds=0.3) as (_, model), pytest.raises(ProviderTimeout):
        list(model.stream(REQUEST, check=go_on))


def test_a_model_that_refuses_a_temperature_is_not_sent_one_again() -> None:
    refusal = Failure(status=400, message="`temperature` is deprecated for this model")
    with serving(refusal, Answer("fine")) as (server, model):
        for _ in range(2):
            assert "".join(chunk.text for chunk in model.stream(REQUEST, check=go_on)) == "fine"
    assert ["temperature" in request.body for request in server.requests] == [True, False, False]
