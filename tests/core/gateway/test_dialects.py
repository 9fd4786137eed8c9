"""One chat, one tool call and one failure through the dialect of each provider, and what each of them refuses."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.gateway.errors import ProviderRefused, ProviderUnavailable
from core.gateway.models import ChatRequest, Finish, Question, ToolCall, ToolSpec
from core.gateway.providers.openai_compatible import OpenAICompatible
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Raw, Tokens, ToolUse, count_words
from tests.factories.provider_simulator.dialects import DIALECTS
from tests.factories.provider_simulator.scripts import LateScript

TOKENS = Tokens(1000, 110, cached=600, reasoning=100)
# What callers of the dialect add.
HINTS = {"seed": 7, "presence_penalty": 0.1, "parallel_tool_calls": False}
LOOK = ToolSpec("look", "Looks.", {"type": "object", "properties": {"z": {}, "a": {}}}, strict=True)
ASKED = ChatRequest.of_parts((Question("Which parcels are late?"),), tools=(LOOK,), options=HINTS)


@contextmanager
def serving(*scripts: LateScript | Raw | Answer | Failure) -> Iterator[tuple[ProviderSimulator, OpenAICompatible]]:
    with ProviderSimulator(*scripts) as server:
        model = OpenAICompatible(
            base_url=server.base_url, api_key="secret", model="m", timeout_seconds=5.0, count_tokens=count_words
        )
        try:
            yield server, model
        finally:
            model.close()


@pytest.mark.parametrize("name", DIALECTS)
def test_an_answer_is_whole_and_its_parts_are_counted(name: str) -> None:
    dialect = DIALECTS[name]
    script = dialect.answer("Three ", "parcels.", tokens=TOKENS, thought="I think that it is three.")
    with serving(script) as (server, model):
        for _ in range(2):
            with model.stream(ASKED, check=lambda: None) as stream:
                assert "".join(chunk.text for chunk in stream) == "Three parcels."
            assert stream.finish is Finish.STOP
            assert (stream.usage.input_tokens, stream.usage.output_tokens, stream.usage.estimated) == (1000, 110, False)
    # Refused parameters are tried once each, and no call after that pays for it.
    statuses = [request.status for request in server.requests]
    assert statuses == [dialect.refusal_status] * len(dialect.refuses) + [200, 200]
    sent = server.requests[-1].body
    assert not sent.keys() & dialect.refuses.keys()
    assert sent["tools"][0]["function"]["strict"] is True
    assert list(sent["tools"][0]["function"]["parameters"]["properties"]) == ["z", "a"]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_tool_call_is_whole(name: str) -> None:
    script = DIALECTS[name].answer(tokens=TOKENS, tool=ToolUse("look", {"z": 1, "a": "two"}, id="c1"))
    with serving(script) as (_, model), model.stream(ASKED, check=lambda: None) as stream:
        calls = [call for chunk in stream for call in chunk.tool_calls]
    assert calls == [ToolCall("c1", "look", '{"z": 1, "a": "two"}')]
    assert not stream.usage.estimated


RETRY_AFTER = {"openai": 90, "azure": 2, "deepseek": 20, "openrouter": 7}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_limit_is_an_outage_that_says_how_long(name: str) -> None:
    with serving(DIALECTS[name].failure(429)) as (_, model), pytest.raises(ProviderUnavailable) as caught:
        list(model.stream(ASKED, check=lambda: None))
    assert (caught.value.code, caught.value.is_outage) == ("provider_rate_limited", True)
    assert caught.value.retry_after_seconds == RETRY_AFTER.get(name)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_required_part_that_is_refused_is_not_left_out(name: str) -> None:
    dialect = DIALECTS[name]
    message = "'messages' and tools are not supported, 'response_format' unknown"
    with serving(dialect.refusal(400, message, "messages")) as (server, model), pytest.raises(ProviderRefused):
        list(model.stream(ASKED, check=lambda: None))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 999999. This model supports at most 4096 completion tokens",
        "temperature must be between 0 and 2",
        "This model's maximum context length is 4096 tokens, unsupported max_tokens",
    ],
)
def test_a_value_out_of_range_says_nothing_against_its_parameter(message: str) -> None:
    param = message.split(maxsplit=1)[0] if "_" in message.split(maxsplit=1)[0] else None
    refusal = Failure(status=400, message=message, param=param)
    with serving(refusal, Answer("ok")) as (server, model):
        with pytest.raises(ProviderRefused), model.stream(ASKED, check=lambda: None) as stream:
            list(stream)
        with model.stream(ASKED, check=lambda: None) as stream:
            list(stream)
    assert len(server.requests) == 2
    assert {"max_tokens", "temperature"} <= server.requests[-1].body.keys()


def test_what_is_refused_beside_something_else_is_left_out_of_that_call_only() -> None:
    refusal = Failure(status=400, message="'parallel_tool_calls' is not allowed when 'tools' is empty.")
    with serving(refusal, Answer("ok")) as (server, model):
        for _ in range(2):
            with model.stream(ASKED, check=lambda: None) as stream:
                list(stream)
    assert ["parallel_tool_calls" in request.body for request in server.requests] == [True, False, True]


def test_strict_is_left_out_where_it_is_refused() -> None:
    error = {"type": "extra_forbidden", "loc": ["body", "tools", 0, "function", "strict"], "msg": "Extra inputs"}
    refusal = Raw((json.dumps({"detail": [error]}).encode(),), "application/json", status=422)
    with serving(refusal, Answer("ok")) as (server, model):
        stream = model.stream(ASKED, check=lambda: None)
        list(stream)
    assert stream.left_out == {"strict"}
    assert "strict" not in server.requests[-1].body["tools"][0]["function"]
