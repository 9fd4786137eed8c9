import json
import time
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
    Passage,
    Question,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from core.gateway.providers.openai_compatible import OpenAICompatible
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Script, Tokens, ToolUse, obey_schema

REQUEST = ChatRequest.of_parts(
    (Text("Answer from the sources."), Passage("p1", "Trams run on Sunday.", "timetable"), Question("When?")),
    system="You are brief.",
    max_output_tokens=50,
)

TOOL = ToolSpec("weather", "The weather of a place.", {"type": "object", "properties": {"place": {"type": "string"}}})


def go_on() -> None:
    """A check that never ends the call."""


def words(text: str) -> int:
    return len(text.split())


@contextmanager
def serving(*scripts: Script, timeout_seconds: float = 5.0) -> Iterator[tuple[ProviderSimulator, OpenAICompatible]]:
    with ProviderSimulator(*scripts) as server:
        model = OpenAICompatible(
            base_url=server.base_url,
            api_key="secret",
            model="tiny",
            timeout_seconds=timeout_seconds,
            count_tokens=words,
        )
        try:
            yield server, model
        finally:
            model.close()


def test_an_administrators_key_in_the_environment_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "the keys of the house")
    with (
        serving(Answer("fine")) as (server, model),
        model.stream(REQUEST, check=go_on) as stream,
    ):
        list(stream)
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


def test_text_and_reported_usage_come_through() -> None:
    with (
        serving(Answer("On ", "Sunday.", usage=(120, 4))) as (server, model),
        model.stream(REQUEST, check=go_on) as stream,
    ):
        assert [chunk.text for chunk in stream] == ["On ", "Sunday."]
    assert stream.finish is Finish.STOP
    assert (stream.usage.model, stream.usage.input_tokens, stream.usage.output_tokens) == ("tiny", 120, 4)
    assert not stream.usage.estimated
    asked = server.requests[0]
    assert asked.headers["Authorization"] == "Bearer secret"
    assert asked.body["stream_options"] == {"include_usage": True}
    assert asked.body["max_tokens"] == 50
    assert asked.body["messages"] == [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Answer from the sources.\n\n[1] timetable\nTrams run on Sunday.\n\nWhen?"},
    ]


def test_the_renderer_of_the_request_writes_the_prompt() -> None:
    request = ChatRequest.of_parts(REQUEST.user_parts, render=lambda parts: f"{len(parts)} parts")
    with serving(Answer("fine")) as (server, model):
        list(model.stream(request, check=go_on))
    assert server.requests[0].body["messages"] == [{"role": "user", "content": "3 parts"}]


def test_without_reported_usage_tokens_are_counted_here_and_marked_estimated() -> None:
    with serving(Answer("On ", "Sunday, every ", "hour.", usage=None)) as (_, model):
        stream = model.stream(REQUEST, check=go_on)
        text = "".join(chunk.text for chunk in stream)
    assert stream.usage.estimated
    assert stream.usage.output_tokens == words(text) == 4
    assert stream.usage.input_tokens == words(
        "You are brief. Answer from the sources. [1] timetable Trams run on Sunday. When?"
    )


def test_the_answer_that_reached_its_limit_says_so() -> None:
    with serving(Answer("On", finish_reason="length")) as (_, model):
        stream = model.stream(REQUEST, check=go_on)
        list(stream)
    assert stream.finish is Finish.LENGTH


@pytest.mark.parametrize("after", [1, 2, 5])
def test_cancelling_between_chunks_hangs_up_and_counts_what_came(after: int) -> None:
    deltas = [f"word{number} " for number in range(40)]
    received: list[str] = []

    def check() -> None:
        if len(received) >= after:
            raise JobCancelled

    with serving(Answer(*deltas, delta_seconds=0.05)) as (server, model):
        stream = model.stream(REQUEST, check=check)
        with pytest.raises(JobCancelled):
            received.extend(chunk.text for chunk in stream)
        assert server.requests[0].finished.wait(5)
        assert server.requests[0].client_closed
        assert server.requests[0].deltas_sent < 40
    assert len(received) == after
    assert stream.finish is None
    assert stream.usage.estimated
    assert after <= stream.usage.output_tokens <= server.requests[0].deltas_sent


def test_cancelling_while_the_first_token_is_awaited_hangs_up_at_once() -> None:
    cancelled: list[float] = []

    with serving(Answer("late", first_token_seconds=60), timeout_seconds=60) as (server, model):

        def check() -> None:
            if server.requests:
                cancelled.append(time.monotonic())
                raise JobCancelled

        stream = model.stream(REQUEST, check=check)
        with pytest.raises(JobCancelled):
            next(stream)
        assert time.monotonic() - cancelled[0] < 2
        assert server.requests[0].finished.wait(5)
        assert server.requests[0].client_closed
    assert stream.usage.output_tokens == 0
    assert stream.usage.input_tokens > 0


def test_leaving_the_block_early_hangs_up() -> None:
    with serving(Answer(*["word "] * 40, delta_seconds=0.05)) as (server, model):
        with model.stream(REQUEST, check=go_on) as stream:
            next(stream)
        assert server.requests[0].finished.wait(5)
        assert server.requests[0].client_closed


def test_a_stream_that_was_never_read_asks_for_nothing_and_costs_nothing() -> None:
    with serving() as (server, model):
        stream = model.stream(REQUEST, check=go_on)
        stream.close()
        stream.close()
    assert server.requests == []
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (0, 0)


@pytest.mark.parametrize(
    ("script", "kind", "code", "retryable", "retry_after"),
    [
        (Failure(status=429, retry_after="7"), ProviderUnavailable, "provider_rate_limited", True, 7),
        (Failure(status=429, retry_after="0.2"), ProviderUnavailable, "provider_rate_limited", True, 1),
        (Failure(status=429, retry_after="soon"), ProviderUnavailable, "provider_rate_limited", True, None),
        (Failure(status=429, retry_after="inf"), ProviderUnavailable, "provider_rate_limited", True, None),
        (Failure(status=429, code="insufficient_quota"), ProviderRefused, "provider_quota_exhausted", False, None),
        (Failure(status=500), ProviderUnavailable, "provider_unavailable", True, None),
        (Failure(status=503, retry_after="99999"), ProviderUnavailable, "provider_unavailable", True, 3600),
        (Failure(status=408), ProviderUnavailable, "provider_unavailable", True, None),
        (Failure(status=401), ProviderRefused, "provider_key_refused", False, None),
        (Failure(status=404), ProviderRefused, "provider_model_unknown", False, None),
        (Failure(status=400, code="context_length_exceeded"), ProviderRefused, "context_too_long", False, None),
        (Failure(status=307), ProviderRefused, "provider_refused", False, None),
    ],
)
def test_a_refusal_keeps_what_the_caller_needs_to_decide(
    script: Script, kind: type[GatewayError], code: str, retryable: bool, retry_after: int | None
) -> None:
    with serving(script) as (server, model), pytest.raises(GatewayError) as caught:
        list(model.stream(REQUEST, check=go_on))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert caught.value.retry_after_seconds == retry_after
    assert "secret" not in caught.value.detail
    assert len(server.requests) == 1, "the client must not retry by itself"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Answer("one ", "two", cut_after_bytes=450), BadResponse, "provider_stream_cut"),
        (Answer("one ", "two", finish_reason=None, usage=None), BadResponse, "provider_stream_cut"),
        (Answer("one ", "two", malformed_after=1), BadResponse, "provider_bad_response"),
        (Answer("one ", "two", error_after=1), ProviderUnavailable, "provider_unavailable"),
    ],
)
def test_a_broken_stream_is_an_error_after_the_text_that_came(
    answer: Answer, kind: type[GatewayError], code: str
) -> None:
    with serving(answer) as (_, model):
        stream = model.stream(REQUEST, check=go_on)
        received = [next(stream).text]
        with pytest.raises(GatewayError) as caught:
            received.extend(chunk.text for chunk in stream)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.retryable) == (code, True)
    assert received[0] == "one "
    assert stream.usage.estimated
    assert stream.usage.output_tokens == words("".join(received))


def test_silence_is_a_timeout() -> None:
    with serving(Answer("late", first_token_seconds=60), timeout_seconds=0.3) as (server, model):
        with pytest.raises(ProviderTimeout) as caught:
            list(model.stream(REQUEST, check=go_on))
        assert server.requests[0].finished.wait(5)
    assert caught.value.retryable


def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    with ProviderSimulator() as server:
        address = server.base_url
    model = OpenAICompatible(base_url=address, api_key=None, model="m", timeout_seconds=1, count_tokens=words)
    with pytest.raises(ProviderUnavailable) as caught:
        list(model.stream(REQUEST, check=go_on))
    model.close()
    assert caught.value.code == "provider_unreachable"


@pytest.mark.parametrize(
    ("refused", "absent", "present"),
    [
        ("max_tokens", "max_tokens", "max_completion_tokens"),
        ("temperature", "temperature", "max_tokens"),
        ("stream_options", "stream_options", "temperature"),
    ],
)
def test_a_parameter_that_the_model_refuses_is_left_out_from_then_on(refused: str, absent: str, present: str) -> None:
    failure = Failure(status=400, code="unsupported_parameter", param=refused)
    with serving(failure, Answer("fine")) as (server, model):
        for _ in range(2):
            stream = model.stream(REQUEST, check=go_on)
            assert "".join(chunk.text for chunk in stream) == "fine"
            # Under its newer name it is not left out.
            assert stream.left_out == frozenset({absent} - {"max_tokens"})
    bodies: list[dict[str, Any]] = [request.body for request in server.requests]
    assert [absent in body for body in bodies] == [True, False, False]
    assert all(present in body for body in bodies[1:])


def test_a_parameter_refused_again_and_again_ends_the_call() -> None:
    with serving(Failure(status=400, param="temperature")) as (server, model), pytest.raises(ProviderRefused):
        list(model.stream(REQUEST, check=go_on))
    assert len(server.requests) == 2


def test_cached_and_reasoning_tokens_are_inside_the_totals_and_split_into_kinds_that_add_up() -> None:
    with serving(Answer("On Sunday.", usage=Tokens(120, 30, cached=100, reasoning=25), model="tiny-2")) as (
        server,
        model,
    ):
        stream = model.stream(REQUEST, check=go_on)
        list(stream)
    usage = stream.usage
    assert (usage.input_tokens, usage.cached_input_tokens) == (120, 100)
    assert (usage.output_tokens, usage.reasoning_tokens) == (30, 25)
    assert usage.to_model_usage().quantities == {
        "input_tokens": 20,
        "cached_input_tokens": 100,
        "output_tokens": 5,
        "reasoning_tokens": 25,
    }
    assert (stream.request_id, stream.model_reported) == (server.requests[0].request_id, "tiny-2")


def test_a_conversation_with_tools_and_pictures_is_sent_as_this_wire_wants_it() -> None:
    call = ToolCall("t1", "weather", '{"place": "Oslo"}')
    messages = (
        Message(Role.USER, (Text("And here?"), Image("image/png", b"png"))),
        Message(Role.ASSISTANT, (call,)),
        Message(Role.TOOL, (ToolResult("t1", "rain"), ToolResult("t2", "snow"))),
    )
    request = ChatRequest(messages=messages, tools=(TOOL,), tool_choice="weather", stop=("END",))
    with serving(Answer("Rain.")) as (server, model):
        list(model.stream(request, check=go_on))
    body = server.requests[0].body
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And here?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": call.arguments}}
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "rain"},
        {"role": "tool", "tool_call_id": "t2", "content": "snow"},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert body["stop"] == ["END"]


def test_tool_calls_in_fragments_come_once_and_whole() -> None:
    uses = (ToolUse("weather", {"place": "Oslo"}, "t1"), ToolUse("weather", {"place": "Rome"}, "t2", fragments=9))
    request = ChatRequest.of_parts((Text("Both?"),), tools=(TOOL,))
    with serving(Answer("I look.", tool_calls=uses)) as (server, model):
        stream = model.stream(request, check=go_on)
        chunks = list(stream)
    assert [chunk.text for chunk in chunks] == ["I look.", ""]
    assert list(chunks[-1].tool_calls) == [ToolCall(use.id, use.name, use.text) for use in uses]
    assert stream.usage.output_tokens == server.bill().output


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}, False),
        (
            {
                "type": "object",
                "properties": {"ok": {"type": "boolean"}},
                "required": ["ok"],
                "additionalProperties": False,
            },
            True,
        ),
    ],
)
def test_a_schema_is_sent_strictly_where_strictness_is_allowed(schema: dict[str, Any], strict: bool) -> None:
    with ProviderSimulator(obey_schema) as server:
        model = OpenAICompatible(
            base_url=server.base_url, api_key=None, model="tiny", timeout_seconds=5, count_tokens=words
        )
        stream = model.stream(ChatRequest.of_parts((Text("Is it?"),), output_schema=schema), check=go_on)
        assert json.loads("".join(chunk.text for chunk in stream)) == {"ok": True}
        model.close()
    assert server.requests[0].body["response_format"]["json_schema"]["strict"] is strict


@pytest.mark.parametrize("after", range(6))
def test_a_stream_cut_at_any_delta_is_metered_like_the_bill(after: int) -> None:
    uses = (ToolUse("weather", {"place": "Oslo"}, fragments=3),)
    answer = Answer("one ", "two ", "three ", tool_calls=uses, cut_after=after)
    with ProviderSimulator(answer, count_tokens=len) as server:
        model = OpenAICompatible(
            base_url=server.base_url, api_key=None, model="tiny", timeout_seconds=5, count_tokens=len
        )
        stream = model.stream(REQUEST, check=go_on)
        with pytest.raises(BadResponse):
            list(stream)
        model.close()
    assert stream.usage.estimated
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (server.bill().input, server.bill().output)


def test_the_bound_covers_what_is_billed() -> None:
    with serving(Answer("fine")) as (server, model):
        bound = model.bound(REQUEST)
        list(model.stream(REQUEST, check=go_on))
    assert server.bill().input <= bound["input_tokens"]
    assert bound["output_tokens"] == REQUEST.max_output_tokens


@pytest.mark.parametrize(
    "text",
    ["\N{FACE WITH TEARS OF JOY}" * 500, "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35" * 100, "a" * 3000],
    ids=["emoji", "thai", "one long word"],
)
def test_the_bound_covers_texts_of_which_the_counting_tokenizer_makes_little(text: str) -> None:
    request = ChatRequest.of_parts((Text(text),), max_output_tokens=5)
    assert words(text) == 1
    with serving(Answer("fine")) as (_, model):
        # A byte-level tokenizer that knows none of these makes a token of every byte.
        assert model.bound(request)["input_tokens"] >= len(text.encode())


def test_a_key_that_changes_is_used_by_the_next_call() -> None:
    keys = iter(["old", "new"])
    with ProviderSimulator() as server:
        model = OpenAICompatible(
            base_url=server.base_url,
            api_key=lambda: next(keys),
            model="tiny",
            timeout_seconds=5,
            count_tokens=words,
            parameters={"seed": 7},
        )
        for _ in range(2):
            list(model.stream(REQUEST, check=go_on))
        model.close()
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer old", "Bearer new"]
    assert server.requests[0].body["seed"] == 7
