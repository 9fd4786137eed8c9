"""Bytes that are no tidy stream: read where they hold an answer, else one of the gateway's errors, never another."""

import gzip
import json
from typing import Any

import pytest

from core.gateway.errors import BadResponse, GatewayError, ProviderRefused, ProviderUnavailable, was_turned_away
from core.gateway.models import Finish, ToolCall
from core.gateway.providers import sse
from tests.core.gateway.test_wire_quirks import (
    DONE,
    block,
    call,
    delta,
    ended,
    event,
    message,
    opened_stream,
    part,
    usage,
)
from tests.factories.provider_simulator import Raw

COUNTS = {"prompt_tokens": 20, "completion_tokens": 5}
STREAM = b"".join((delta(content="Three "), delta(content="parcels."), delta("stop"), usage(**COUNTS), DONE))
LAST = b'{"choices":[{"index":0,"delta":{"content":"Three parcels."},"finish_reason":"stop"}],%s}\n\n'
REPORT = b'"usage":{"prompt_tokens":20,"completion_tokens":5}'


def objects(body: bytes) -> list[bytes]:
    return [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]


READABLE = {
    "carriage returns and line feeds": (STREAM.replace(b"\n", b"\r\n"),),
    "carriage returns": (STREAM.replace(b"\n", b"\r"),),
    "byte by byte": tuple(bytes([byte]) for byte in b"\xef\xbb\xbf" + STREAM.replace(b"\n", b"\r\n")),
    "byte-order mark": (b"\xef\xbb\xbf" + STREAM,),
    "comments and other fields": (b": hello\nid: 1\nretry: 3\nevent: x\n" + STREAM.replace(b"data: ", b"data:"),),
    "data in several lines": (b"data: " + (LAST % REPORT).replace(b',"', b',\ndata: "'),),
    "no blank line at the end": (STREAM.removesuffix(DONE).rstrip(),),
    "an empty event": (b"data:\n\ndata: \n\n" + STREAM,),
    "an object in each line": (b"\n".join(objects(STREAM)),),
    "NaN and a wide number": (b"data: " + LAST % (REPORT + b',"a":[NaN,-Infinity,18446744073709551616]'),),
    "names twice": (b"data: " + LAST % (b'"choices_":1,"usage":null,' + REPORT),),
    "a broken end after the end": (STREAM.removesuffix(DONE) + b"data: {not\n\n",),
}


@pytest.mark.parametrize("how", READABLE)
def test_an_answer_is_read_out_of_any_framing(how: str) -> None:
    with opened_stream(Raw(READABLE[how])) as (_, stream):
        assert "".join(chunk.text for chunk in stream) == "Three parcels."
    assert stream.finish is Finish.STOP
    assert (stream.usage.input_tokens, stream.usage.output_tokens, stream.usage.estimated) == (20, 5, False)


def test_a_compressed_answer_is_read() -> None:
    with opened_stream(Raw((gzip.compress(STREAM),), headers={"Content-Encoding": "gzip"})) as (_, stream):
        assert "".join(chunk.text for chunk in stream) == "Three parcels."


def test_what_is_no_utf_8_is_replaced() -> None:
    body = STREAM.replace(b"parcels", b"p\xffrcels")
    with opened_stream(Raw((body,))) as (_, stream):
        assert "".join(chunk.text for chunk in stream) == "Three p\ufffdrcels."


UNREADABLE = {
    "nested deeply": b'data: {"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
    "nested deeply and not streamed": b"[" * 100_000 + b"]" * 100_000,
    "a number of thousands of digits": b'data: {"created":' + b"9" * 5000 + b"}\n\n",
    "not JSON": b"data: {not\n\n",
    "no events": b"",
    "only the end": DONE,
    "a bomb": b"data: " + b" " * (sse.MAX_EVENT_BYTES + 10) + b"\n\n",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_a_bad_response(what: str) -> None:
    with opened_stream(Raw((UNREADABLE[what],))) as (_, stream), pytest.raises(BadResponse) as caught:
        list(stream)
    assert not caught.value.is_outage


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html><body>Sign in</body></html>", b"\n <html>", b"upstream failed"]
)
def test_a_page_instead_of_an_answer_costs_nothing(page: bytes) -> None:
    with opened_stream(Raw((page,), "text/html")) as (_, stream), pytest.raises(BadResponse) as caught:
        list(stream)
    assert was_turned_away(caught.value)
    assert "Sign in" not in caught.value.detail


LIMITED = (ProviderUnavailable, "provider_rate_limited")
UNAVAILABLE = (ProviderUnavailable, "provider_unavailable")
ERRORS: dict[str, tuple[Any, tuple[type[GatewayError], str]]] = {
    "text": ({"error": "overloaded"}, UNAVAILABLE),
    "the object itself": ({"object": "error", "message": "no", "type": "BadRequestError", "code": 429}, LIMITED),
    "anthropic's": ({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}, UNAVAILABLE),
    "in the choice": (
        {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": {"code": 429}}]},
        LIMITED,
    ),
    "google's list": ([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "no"}}], LIMITED),
    "status": ({"error": {"code": "x", "status": 503}}, UNAVAILABLE),
    "status code": ({"error": {"message": "no", "status_code": 429}}, LIMITED),
    "code and message": ({"code": "rate_limit_exceeded", "message": "no"}, LIMITED),
    "several": ({"errors": [{"message": "no", "code": 429}]}, LIMITED),
    "a body in the message": (
        {"error": {"message": json.dumps({"error": {"code": 429, "message": "the server behind said no" * 3}})}},
        LIMITED,
    ),
    "odd types": ({"error": {"code": {"a": 1}, "type": ["x"], "param": 7, "message": None}}, UNAVAILABLE),
    "too long": (
        {"error": {"message": "This model's maximum context length is 4096 tokens."}},
        (ProviderRefused, "context_too_long"),
    ),
}


@pytest.mark.parametrize("shape", ERRORS)
@pytest.mark.parametrize("where", ["first", "after text", "instead of a stream"])
def test_errors_in_a_stream_are_known_in_every_shape(shape: str, where: str) -> None:
    value, (kind, code) = ERRORS[shape]
    body = json.dumps(value).encode() if where == "instead of a stream" else event(value)
    before = (delta(content="Half"),) if where == "after text" else ()
    with opened_stream(Raw((*before, body))) as (_, stream), pytest.raises(kind) as caught:
        list(stream)
    assert caught.value.code == code
    if before:
        assert caught.value.may_be_billed


STATUSES: dict[str, tuple[int, Any, str, float | None]] = {
    "vllm": (
        400,
        {"object": "error", "message": "no", "type": "BadRequestError", "code": 400},
        "provider_refused",
        None,
    ),
    "odd types": (400, {"error": {"code": {"a": 1}, "param": 5, "message": ["x"]}}, "provider_refused", None),
    "too long": (
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400},
        "context_too_long",
        None,
    ),
    "google": (
        429,
        [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "34s"}]}}],
        "provider_rate_limited",
        34,
    ),
    "openrouter": (
        429,
        {"error": {"code": 429, "metadata": {"headers": {"Retry-After": "21"}}}},
        "provider_rate_limited",
        21,
    ),
    "moonshot": (429, {"error": {"type": "exceeded_current_quota_error"}}, "provider_quota_exhausted", None),
    "quota as a type": (429, {"error": {"type": "insufficient_quota", "code": None}}, "provider_quota_exhausted", None),
    "deepseek": (402, {"error": {"message": "Insufficient Balance"}}, "provider_quota_exhausted", None),
    "a page": (403, "<html>", "provider_key_refused", None),
    "overloaded as a 500": (500, {"error": {"type": "overloaded_error"}}, "provider_unavailable", None),
}


@pytest.mark.parametrize("who", STATUSES)
def test_error_statuses_are_read_in_every_shape(who: str) -> None:
    status, body, code, seconds = STATUSES[who]
    script = Raw((json.dumps(body).encode(),), "application/json", status=status)
    with opened_stream(script) as (_, stream), pytest.raises(GatewayError) as caught:
        list(stream)
    assert (caught.value.code, caught.value.retry_after_seconds) == (code, seconds)
    assert was_turned_away(caught.value)
    assert caught.value.is_outage is (code in {"provider_rate_limited", "provider_unavailable"})


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_of_an_error_without_end_the_beginning_is_read(kind: str) -> None:
    said = {"type": "error", "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": ""}}
    for reason, code in (("a short reason", "provider_quota_exhausted"), ("x" * 1_000_000, "provider_rate_limited")):
        said["error"] = {**said["error"], "message": reason}  # type: ignore[dict-item]
        script = Raw((json.dumps(said).encode(),), "application/json", status=429)
        with opened_stream(script, kind) as (_, stream), pytest.raises(GatewayError) as caught:
            list(stream)
        assert caught.value.code == code


def test_an_error_in_an_encoding_that_was_not_asked_for_is_taken_as_it_came() -> None:
    body = json.dumps({"error": {"code": "insufficient_quota"}}).encode()
    script = Raw((body,), "application/json", status=429, headers={"Content-Encoding": "zstd"})
    with opened_stream(script) as (_, stream), pytest.raises(GatewayError) as caught:
        list(stream)
    assert caught.value.code == "provider_quota_exhausted"


def test_a_providers_text_is_not_shown() -> None:
    for body in ({"error": "sk-secret"}, {"error": {"message": "sk-secret"}}, {"detail": "sk-secret"}, "sk-secret"):
        script = Raw((json.dumps(body).encode(),), "application/json", status=400)
        with opened_stream(script) as (_, stream), pytest.raises(ProviderRefused) as caught:
            list(stream)
        assert "sk-secret" not in caught.value.detail


FRAGMENTS: dict[str, tuple[list[dict[str, Any]], list[ToolCall]]] = {
    "a name with every piece": (
        [call("look", '{"day":'), call("look", " 1}")],
        [ToolCall("call_1", "look", '{"day": 1}')],
    ),
    "an id for every piece": (
        [call("look", '{"day":', index=0, id="a"), call(None, " 1}", index=0, id="b")],
        [ToolCall("a", "look", '{"day": 1}')],
    ),
    "one index and no ids": (
        [call("look", '{"day": 1}', index=0), call("look", '{"day": 2}', index=0)],
        [ToolCall("call_1", "look", '{"day": 1}'), ToolCall("call_2", "look", '{"day": 2}')],
    ),
    "indexes as text": (
        [
            call("look", '{"a":', index="0", id="a"),
            call("find", '{"b":', index="1", id="b"),
            call(None, " 1}", index="0"),
            call(None, " 2}", index="1"),
        ],
        [ToolCall("a", "look", '{"a": 1}'), ToolCall("b", "find", '{"b": 2}')],
    ),
    "the name once more at the end": (
        [call("look", '{"d": 1}', index=0, id="a"), call("look", "", index=0, id="a")],
        [ToolCall("a", "look", '{"d": 1}')],
    ),
    "two without arguments": (
        [call("look", "", index=0, id="a"), call("look", "", index=0, id="b")],
        [ToolCall("a", "look", ""), ToolCall("b", "look", "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", FRAGMENTS)
def test_fragments_of_tool_calls_find_their_call(how: str) -> None:
    fragments, calls = FRAGMENTS[how]
    script = ended(*(delta(tool_calls=[fragment]) for fragment in fragments), finish="tool_calls")
    with opened_stream(script) as (_, stream):
        assert [each for chunk in stream for each in chunk.tool_calls] == calls


WRITTEN = {"input_tokens": 100, "cached_input_tokens": 600, "cache_write_tokens": 300, "output_tokens": 10}
THOUGHT = {"input_tokens": 1000, "output_tokens": 10, "reasoning_tokens": 50}


@pytest.mark.parametrize(
    ("report", "quantities"),
    [
        ({"prompt_tokens": 1000, "completion_tokens": 10, "cached_tokens": 600, "cache_write_tokens": 300}, WRITTEN),
        (
            {
                "prompt_tokens": 1000,
                "completion_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
            },
            WRITTEN,
        ),
        (
            {
                "prompt_tokens": 1000,
                "completion_tokens": 10,
                "cache_read_input_tokens": 600,
                "cache_creation_input_tokens": 300,
            },
            WRITTEN,
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 10,
                "cache_read_input_tokens": 600,
                "cache_creation_input_tokens": 300,
            },
            WRITTEN,
        ),
        (
            {
                "promptTokenCount": 1000,
                "candidatesTokenCount": 10,
                "thoughtsTokenCount": 50,
                "totalTokenCount": 1060,
            },
            THOUGHT,
        ),
        ({"prompt_tokens": 1000, "completion_tokens": 10, "reasoning_tokens": 50, "total_tokens": 1060}, THOUGHT),
        (
            {"prompt_tokens": 1000, "completion_tokens": 60, "completion_tokens_details": {"thinking_tokens": 50}},
            THOUGHT,
        ),
        (
            {"prompt_tokens": "1000", "completion_tokens": 10.0, "prompt_tokens_details": {"cached_tokens": -5}},
            {"input_tokens": 1000, "output_tokens": 10},
        ),
        ({"prompt_eval_count": 1000, "eval_count": 10}, {"input_tokens": 1000, "output_tokens": 10}),
    ],
)
def test_usage_is_read_in_many_spellings(report: dict[str, Any], quantities: dict[str, int]) -> None:
    with opened_stream(ended(delta(content="four words of text"), usage(**report))) as (_, stream):
        list(stream)
    assert stream.usage.to_model_usage().quantities == quantities
    assert not stream.usage.estimated


ANTHROPIC = b"".join(message(part("text_delta", "Three."), counts={"output_tokens": 9}).pieces)
WHOLE = {
    "type": "message",
    "content": [{"type": "text", "text": "Three."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 20, "output_tokens": 9},
}


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + ANTHROPIC.replace(b"\n", b"\r\n"),
        ANTHROPIC.rstrip(),
        b"\n".join(line for line in ANTHROPIC.split(b"\n") if not line.startswith(b"event")),
        json.dumps(WHOLE).encode(),
    ],
)
def test_the_other_wire_is_read_out_of_any_framing(body: bytes) -> None:
    with opened_stream(Raw((body,)), "anthropic") as (_, stream):
        assert "".join(chunk.text for chunk in stream) == "Three."
    assert (stream.usage.input_tokens, stream.usage.output_tokens, stream.usage.estimated) == (20, 9, False)


@pytest.mark.parametrize("what", UNREADABLE)
def test_the_other_wire_has_no_other_errors(what: str) -> None:
    with opened_stream(Raw((UNREADABLE[what],)), "anthropic") as (_, stream), pytest.raises(BadResponse):
        list(stream)


def test_the_other_wires_errors_are_known_without_a_stream_or_a_name() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    for body in (event(error), json.dumps(error).encode(), b"event: error\n" + event(error)):
        with opened_stream(Raw((body,)), "anthropic") as (_, stream), pytest.raises(ProviderUnavailable) as caught:
            list(stream)
        assert caught.value.is_outage


def test_a_later_report_keeps_what_an_earlier_one_said_of_the_cache() -> None:
    first = {"input_tokens": 20, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 50}
    last = {"input_tokens": 20, "output_tokens": 9}
    script = Raw(
        (
            block("message_start", message={"model": "m", "usage": first}),
            part("text_delta", "Three."),
            block("message_delta", delta={"stop_reason": "end_turn"}, usage=last),
        )
    )
    with opened_stream(script, "anthropic") as (_, stream):
        list(stream)
    assert stream.usage.to_model_usage().quantities == {
        "input_tokens": 20,
        "cached_input_tokens": 900,
        "cache_write_tokens": 50,
        "output_tokens": 9,
    }
