import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Tokens, ToolUse, example_of

QUESTION: list[Any] = [{"role": "user", "content": "hello"}]


def ask(server: ProviderSimulator, **more: Any) -> Any:
    with openai.OpenAI(base_url=server.base_url, api_key="secret", max_retries=0) as client:
        answer: Any = client.chat.completions.create(model="tiny", messages=QUESTION, **more)
        return list(answer) if more.get("stream") else answer


def test_the_official_client_reads_a_whole_answer() -> None:
    with ProviderSimulator(Answer("Hello", " world", usage=(3, 2))) as server:
        answer = ask(server)
    assert answer.choices[0].message.content == "Hello world"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 2, 5)
    assert server.requests[0].headers["Authorization"] == "Bearer secret"
    assert server.requests[0].body["model"] == "tiny"


def test_the_official_client_reads_a_stream_and_its_usage() -> None:
    with ProviderSimulator(Answer("Hello", " world", usage=(3, 2))) as server:
        events = ask(server, stream=True, stream_options={"include_usage": True})
    assert "".join(event.choices[0].delta.content or "" for event in events if event.choices) == "Hello world"
    assert [event.choices[0].finish_reason for event in events if event.choices][-1] == "stop"
    assert events[-1].usage.completion_tokens == 2
    assert server.requests[0].deltas_sent == 2
    assert not server.requests[0].client_closed


def test_usage_is_sent_only_when_asked_for() -> None:
    with ProviderSimulator(Answer("Hello")) as server:
        assert all(event.usage is None for event in ask(server, stream=True))


def test_scripts_are_followed_in_order_and_the_last_one_stays() -> None:
    with ProviderSimulator(Failure(status=429, retry_after="7"), Failure(status=503), Answer("fine")) as server:
        with pytest.raises(openai.RateLimitError) as limited:
            ask(server)
        with pytest.raises(openai.InternalServerError):
            ask(server)
        assert [ask(server).choices[0].message.content for _ in range(2)] == ["fine", "fine"]
    assert limited.value.response.headers["retry-after"] == "7"
    assert len(server.requests) == 4


@pytest.mark.parametrize("cut", [0, 1, 150, 400])
def test_a_stream_is_cut_after_exactly_so_many_bytes(cut: int) -> None:
    body = {"model": "tiny", "messages": QUESTION, "stream": True}
    received = b""
    with (
        ProviderSimulator(Answer("Hello", " world", cut_after_bytes=cut)) as server,
        httpx.stream("POST", f"{server.base_url}/chat/completions", json=body) as response,
        contextlib.suppress(httpx.RemoteProtocolError),
    ):
        for piece in response.iter_raw():
            received += piece
    assert len(received) == cut


def test_a_malformed_event_comes_where_it_was_asked_for() -> None:
    body = {"model": "tiny", "messages": QUESTION, "stream": True}
    with ProviderSimulator(Answer("one", "two", malformed_after=1)) as server:
        text = httpx.post(f"{server.base_url}/chat/completions", json=body).text
    assert text.index('"one"') < text.index("data: {not json\n\n") < text.index('"two"')


def test_a_client_that_hangs_up_is_noticed_while_the_server_waits() -> None:
    body = {"model": "tiny", "messages": QUESTION, "stream": True}
    with ProviderSimulator(Answer("one", "two", delta_seconds=30)) as server:
        with httpx.stream("POST", f"{server.base_url}/chat/completions", json=body) as response:
            next(response.iter_raw())
        assert server.requests[0].finished.wait(5)
    assert server.requests[0].client_closed
    assert server.requests[0].deltas_sent < 2


def test_a_slow_first_token_is_slow_and_stopping_the_server_does_not_wait_for_it() -> None:
    begin = time.monotonic()
    with ProviderSimulator(Answer("late", first_token_seconds=0.3)) as server:
        ask(server)
    assert time.monotonic() - begin >= 0.3
    begin = time.monotonic()
    with ProviderSimulator(Answer("late", first_token_seconds=60)) as server, pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.base_url}/chat/completions", json={"stream": True}, timeout=0.1)
    assert time.monotonic() - begin < 5


def test_another_path_is_not_found() -> None:
    with ProviderSimulator() as server:
        assert httpx.post(f"{server.base_url}/completions", json={}).status_code == 404


def test_the_official_client_collects_a_tool_call_from_its_fragments() -> None:
    use = ToolUse("weather", {"place": "Oslo"}, fragments=5)
    with ProviderSimulator(Answer(tool_calls=(use,))) as server:
        events = ask(server, stream=True)
        whole = ask(server)
    pieces = [call.function.arguments for event in events for call in event.choices[0].delta.tool_calls or ()]
    assert len(pieces) == 5
    assert "".join(pieces) == use.text == whole.choices[0].message.tool_calls[0].function.arguments
    assert events[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "tool_calls"


def test_the_details_of_a_usage_are_reported() -> None:
    with ProviderSimulator(Answer("ok", usage=Tokens(90, 30, cached=64, reasoning=20))) as server:
        usage = ask(server).usage
    assert (usage.prompt_tokens_details.cached_tokens, usage.completion_tokens_details.reasoning_tokens) == (64, 20)


@pytest.mark.parametrize("streamed", [True, False])
def test_anthropics_official_client_reads_an_answer(streamed: bool) -> None:
    tokens = Tokens(50, 6, cached=20, cache_write=10)
    script = Answer("It ", "rains.", tool_calls=(ToolUse("weather", {"place": "Oslo"}),), usage=tokens)
    with (
        ProviderSimulator(script) as server,
        anthropic.Anthropic(base_url=server.root_url, api_key="secret", max_retries=0) as client,
    ):
        asked: Any = {"model": "claude", "max_tokens": 9, "messages": QUESTION}
        if streamed:
            with client.messages.stream(**asked) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**asked)
    text, tool = message.content
    assert (text.type, tool.type) == ("text", "tool_use")
    assert getattr(text, "text", "") == "It rains."
    assert getattr(tool, "input", {}) == {"place": "Oslo"}
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (20, 20, 10)
    assert usage.output_tokens == 6
    assert server.requests[0].headers["authorization"] == "Bearer secret"


def test_anthropics_official_client_knows_an_overloaded_server() -> None:
    with (
        ProviderSimulator(Failure(status=529)) as server,
        anthropic.Anthropic(base_url=server.root_url, api_key="secret", max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        client.messages.create(model="claude", max_tokens=9, messages=QUESTION)
    assert "overloaded_error" in str(caught.value.body)


def test_the_bill_counts_what_was_produced_and_not_what_was_reported() -> None:
    scripts = (
        Answer("one two three", usage=(1, 1), billed=Tokens(40, 3)),  # reports too little
        Answer("one two three", usage=None),
        Answer("one ", "two ", "three", cut_after=2),
        Failure(status=500),
    )
    with ProviderSimulator(*scripts) as server:
        assert ask(server).usage.completion_tokens == 1
        ask(server)
        with contextlib.suppress(httpx.RemoteProtocolError, openai.APIConnectionError):
            ask(server, stream=True)
        with pytest.raises(openai.InternalServerError):
            ask(server)
    assert [(line.billed.input, line.billed.output) for line in server.requests] == [(40, 3), (1, 3), (1, 2), (0, 0)]
    assert server.bill() == Tokens(42, 8)


def test_a_held_answer_goes_on_when_it_is_released() -> None:
    with ProviderSimulator(Answer("one ", "two", hold_after=1)) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(ask, server, stream=True)
        while not server.requests:
            time.sleep(0.01)
        assert server.requests[0].held.wait(5)
        assert server.requests[0].deltas_sent == 1
        server.release()
        answer.result(5)
    assert server.requests[0].deltas_sent == 2


def test_a_script_may_look_at_the_request() -> None:
    with ProviderSimulator(lambda recorded: Answer(recorded.body["model"])) as server:
        assert ask(server).choices[0].message.content == "tiny"


def test_a_script_that_raises_fails_the_test() -> None:
    def broken(_: Any) -> Answer:
        raise LookupError("no script for this")

    raising = pytest.raises(LookupError, match="no script")
    with raising, ProviderSimulator(broken) as server, contextlib.suppress(openai.APIConnectionError):
        ask(server)


def test_embeddings_are_the_same_for_the_same_text() -> None:
    with (
        ProviderSimulator() as server,
        openai.OpenAI(base_url=server.base_url, api_key="secret", max_retries=0) as client,
    ):
        rows = [item.embedding for item in client.embeddings.create(model="e", input=["a", "b", "a"]).data]
    assert rows[0] == rows[2] != rows[1]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}),
        ({"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2}, ["x", "x"]),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
    ],
)
def test_a_value_is_made_that_obeys_a_schema(schema: dict[str, Any], value: Any) -> None:
    assert example_of(schema) == value


def test_fifty_clients_are_served_at_once() -> None:
    async def ask_all(address: str) -> None:
        async with openai.AsyncOpenAI(base_url=address, api_key="secret", max_retries=0) as client:

            async def one() -> str | None:
                answer = await client.chat.completions.create(model="tiny", messages=QUESTION)
                return answer.choices[0].message.content

            assert await asyncio.gather(*(one() for _ in range(50))) == ["late"] * 50

    begin = time.monotonic()
    with ProviderSimulator(Answer("late", first_token_seconds=1.0)) as server:
        asyncio.run(ask_all(server.base_url))
    # One after the other they would take fifty seconds.
    assert time.monotonic() - begin < 25
    assert len(server.requests) == 50
