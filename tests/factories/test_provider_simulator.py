import contextlib
import time
from typing import Any

import httpx
import openai
import pytest

from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator

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
