"""What servers send that the protocols do not know: the answer is kept, its usage is believed where it can be true."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from core.capability import JobCancelled
from core.gateway.errors import BadResponse, GatewayError, ProviderRefused, ProviderUnavailable, was_turned_away
from core.gateway.models import ChatRequest, ChatStream, Finish, Provider, Question, ToolCall
from core.gateway.providers.anthropic import Anthropic
from core.gateway.providers.openai_compatible import OpenAICompatible
from core.gateway.streams import BY_SUMS, UsageReading
from tests.factories.provider_simulator import ProviderSimulator, Raw, count_words

REQUEST = ChatRequest.of_parts((Question("Which parcels are late, and by how many days?"),), max_output_tokens=500)
LONG = "Fourteen parcels are late. " * 60
DONE = b"data: [DONE]\n\n"


@contextmanager
def opened_stream(
    script: Raw, kind: str = "openai", check: Callable[[], None] = lambda: None, reading: UsageReading = BY_SUMS
) -> Iterator[tuple[ProviderSimulator, ChatStream]]:
    with ProviderSimulator(script) as server:
        common: Any = {"api_key": "secret", "model": "m", "timeout_seconds": 5.0, "count_tokens": count_words}
        model: Provider = (
            OpenAICompatible(base_url=server.base_url, reading=reading, **common)
            if kind == "openai"
            else Anthropic(base_url=server.root_url, **common)
        )
        try:
            with model.stream(REQUEST, check=check) as stream:
                yield server, stream
        finally:
            model.close()


def event(body: Any) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def delta(finish: Any = None, usage: Any = None, **fields: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}], "usage": usage})


def usage(**counts: Any) -> bytes:
    return event({"choices": [], "usage": counts})


def ended(*events: bytes, finish: str = "stop") -> Raw:
    return Raw((*events, delta(finish), DONE))


ODD = [
    event({"choices": [{"index": 0, "content_filter_offsets": {"check_offset": 4}, "finish_reason": None}]}),
    event({"choices": [{"index": 0, "delta": None, "finish_reason": None}]}),
    event({"choices": [{"index": 0, "delta": [], "finish_reason": ""}]}),
    event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
    event({"choices": None}),
    event({"choices": 3}),
    event({"choices": [7]}),
    event({"choices": [{"index": [0], "delta": {"content": [{"type": ["text"]}]}}]}),
    delta(content=[{"type": {"text": 1}, "text": "x"}, {"type": ["thinking"]}]),
    event({"choices": [{"index": 1, "delta": {"content": "another choice"}}]}),
    event({"object": "ping"}),
    event({"choices": [], "usage": {"prompt_tokens": "x"}}),
    event({"choices": [], "usage": [1, 2]}),
    event("text"),
    event(None),
    event([]),
    delta(content=17),
    delta(tool_calls=[None, {"index": 0}, 5]),
    delta(tool_calls="none"),
    b": keepalive\n\n",
    b"event: progress\ndata: {}\n\n",
]


@pytest.mark.parametrize("odd", ODD)
def test_an_event_that_means_nothing_is_skipped(odd: bytes) -> None:
    events = [odd, delta(content="Three "), odd, delta(content="parcels."), odd]
    with opened_stream(ended(*events, usage(prompt_tokens=20, completion_tokens=5))) as (_, stream):
        assert "".join(chunk.text for chunk in stream) == "Three parcels."
    assert stream.finish is Finish.STOP
    assert (stream.usage.output_tokens, stream.usage.estimated) == (5, False)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("eos", Finish.STOP),
        ("STOP", Finish.STOP),
        ("model_length", Finish.LENGTH),
        ("MAX_TOKENS", Finish.LENGTH),
        ("SAFETY", Finish.FILTERED),
        ("PROHIBITED_CONTENT", Finish.FILTERED),
    ],
)
def test_the_reasons_of_many_servers_are_known(reason: str, finish: Finish) -> None:
    with opened_stream(ended(delta(content="Half"), finish=reason)) as (_, stream):
        assert [chunk.text for chunk in stream] == ["Half"]
    assert stream.finish is finish


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource", "abort", "a reason of tomorrow", {"a": 1}])
def test_an_end_that_is_not_known_to_be_good_is_an_error_that_is_metered(reason: Any) -> None:
    script = Raw((delta(content="Half"), delta(reason), usage(prompt_tokens=20, completion_tokens=5), DONE))
    with opened_stream(script) as (_, stream), pytest.raises(ProviderUnavailable) as caught:
        list(stream)
    assert caught.value.retryable
    assert not was_turned_away(caught.value)
    assert (stream.usage.output_tokens, stream.usage.estimated) == (5, False)


def test_an_empty_reason_is_none() -> None:
    with opened_stream(Raw((delta("", content="Half"), DONE))) as (_, stream), pytest.raises(BadResponse) as caught:
        list(stream)
    assert caught.value.code == "provider_stream_cut"


@pytest.mark.parametrize(
    ("fields", "text", "thought"),
    [
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, "", "hm"),
        ({"content": [{"type": "text", "text": "Three "}, {"type": "text", "text": "days."}]}, "Three days.", ""),
        ({"refusal": "I can't say that."}, "I can't say that.", ""),
        ({"reasoning_content": "let me see", "content": None}, "", "let me see"),
        ({"reasoning": "let me see", "reasoning_details": [{"text": "let me see"}]}, "", "let me see"),
    ],
)
def test_text_and_reasoning_are_found_where_servers_put_them(fields: dict[str, Any], text: str, thought: str) -> None:
    with opened_stream(ended(delta(**fields))) as (_, stream):
        assert "".join(chunk.text for chunk in stream) == text
    assert stream.usage.output_tokens == count_words(text) + count_words(thought)
    assert stream.usage.reasoning_tokens == count_words(thought)


def call(name: str | None, arguments: Any, **rest: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **rest}


@pytest.mark.parametrize(
    ("fragments", "calls"),
    [
        ([call("look", '{"day":', id="a"), call(None, " 1}")], [ToolCall("a", "look", '{"day": 1}')]),
        ([call("look", {"day": 1}, id="a", index=0)], [ToolCall("a", "look", '{"day": 1}')]),
        (
            [call("look", "{}", id="a", index=0), call("find", '{"n": 2}', id="b", index=0)],
            [ToolCall("a", "look", "{}"), ToolCall("b", "find", '{"n": 2}')],
        ),
        (
            [call("look", '{"a"', id="a", index=0), call(None, ": 1}", id="a", index=0), call("find", "{}", id="b")],
            [ToolCall("a", "look", '{"a": 1}'), ToolCall("b", "find", "{}")],
        ),
        (
            [call("look", "{}"), call("find", "{}")],
            [ToolCall("call_1", "look", "{}"), ToolCall("call_2", "find", "{}")],
        ),
        (
            [call("a", "1", id="x", index=0), call("b", "2", id="y", index=1), call("", "3", index=0)],
            [ToolCall("x", "a", "13"), ToolCall("y", "b", "2")],
        ),
    ],
)
def test_tool_calls_are_told_apart(fragments: list[dict[str, Any]], calls: list[ToolCall]) -> None:
    script = ended(*(delta(tool_calls=[fragment]) for fragment in fragments), finish="tool_calls")
    with opened_stream(script) as (_, stream):
        assert [call for chunk in stream for call in chunk.tool_calls] == calls


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_an_answer_that_is_not_streamed_is_read_as_one_event(content_type: str) -> None:
    message = {"content": "Not\nstreamed.", "tool_calls": [call("look", "{}", id="a"), call("look", "{}", id="b")]}
    body = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5},
    }
    raw = b"\n" + json.dumps(body, indent=1).encode()
    with opened_stream(Raw((raw[:40], raw[40:]), content_type)) as (_, stream):
        chunks = list(stream)
    assert "".join(chunk.text for chunk in chunks) == "Not\nstreamed."
    assert [call.id for chunk in chunks for call in chunk.tool_calls] == ["a", "b"]
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (20, 5)


@pytest.mark.parametrize(
    ("text", "reports", "expected", "reason"),
    [
        # None: counted here.
        (LONG, [{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}], (None, None), "usage_implausible"),
        (
            LONG,
            [{"prompt_tokens": 20, "completion_tokens": 400}, {"prompt_tokens": 0, "completion_tokens": 0}],
            (20, 400),
            None,
        ),
        ("Paid.", [{}], (None, None), "usage_missing"),
        ("Paid.", [{"prompt_tokens": 20, "completion_tokens": None, "total_tokens": 20}], (20, None), "usage_partial"),
        ("Paid.", [{"prompt_tokens": 20, "total_tokens": 27}], (20, 7), None),
        ("Paid.", [{"prompt_tokens": 20, "completion_tokens": 10**12}], (20, None), "usage_implausible"),
        ("Paid.", [{"prompt_tokens": 10**12, "completion_tokens": 9}], (None, 9), "usage_implausible"),
        ("Paid.", [{"prompt_tokens": -1, "completion_tokens": -5}], (None, None), "usage_missing"),
        ("Paid.", [{"prompt_tokens": 20.0, "completion_tokens": "7"}], (20, 7), None),
        ("Paid.", [{"prompt_tokens": True, "completion_tokens": 1.5}], (None, None), "usage_missing"),
        ("Paid.", [{"input_tokens": 20, "output_tokens": 7}], (20, 7), None),
        (LONG, [{"prompt_tokens": 20, "completion_tokens": 1}], (20, None), "usage_implausible"),
        (LONG * 4, [{"prompt_tokens": 20, "completion_tokens": 960}], (20, 960), None),
    ],
)
def test_a_report_is_believed_where_it_can_be_true(
    text: str, reports: list[dict[str, Any]], expected: tuple[int | None, int | None], reason: str | None
) -> None:
    with opened_stream(ended(delta(content=text), *(usage(**report) for report in reports))) as (_, stream):
        assert "".join(chunk.text for chunk in stream) == text
    read, produced = expected
    assert stream.usage.input_tokens == (count_words(REQUEST.question) if read is None else read)
    assert stream.usage.output_tokens == (count_words(text) if produced is None else produced)
    assert (stream.usage.estimated, stream.usage.reason) == (None in expected, reason)


@pytest.mark.parametrize(
    ("report", "quantities", "reason"),
    [
        # Beside the totals, as the sum says, or because a part is larger than its whole.
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 1,
                "total_tokens": 399,
                "completion_tokens_details": {"reasoning_tokens": 386},
            },
            {"input_tokens": 12, "output_tokens": 1, "reasoning_tokens": 386},
            "reasoning_beside",
        ),
        (
            {"prompt_tokens": 12, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 700}},
            {"input_tokens": 12, "output_tokens": 1, "reasoning_tokens": 700},
            "reasoning_beside",
        ),
        (
            {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 113},
            {"input_tokens": 12, "output_tokens": 1, "reasoning_tokens": 100},
            "reasoning_beside",
        ),
        # Inside of them.
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 400,
                "total_tokens": 412,
                "completion_tokens_details": {"reasoning_tokens": 386},
            },
            {"input_tokens": 12, "output_tokens": 14, "reasoning_tokens": 386},
            None,
        ),
        (
            {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010, "prompt_cache_hit_tokens": 900},
            {"input_tokens": 100, "cached_input_tokens": 900, "output_tokens": 10},
            None,
        ),
        (
            {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 900}},
            {"input_tokens": 100, "cached_input_tokens": 900, "output_tokens": 10},
            None,
        ),
    ],
)
def test_parts_are_counted_once(report: dict[str, Any], quantities: dict[str, int], reason: str | None) -> None:
    with opened_stream(ended(delta(content="4"), usage(**report))) as (_, stream):
        list(stream)
    assert stream.usage.to_model_usage().quantities == quantities
    assert (stream.usage.estimated, stream.usage.reason) == (False, reason)


@pytest.mark.parametrize(
    ("reading", "quantities", "reason"),
    [
        (
            BY_SUMS,
            {"input_tokens": 100, "cached_input_tokens": 900, "output_tokens": 14, "reasoning_tokens": 386},
            None,
        ),
        (
            UsageReading(reasoning="beside"),
            {"input_tokens": 100, "cached_input_tokens": 900, "output_tokens": 400, "reasoning_tokens": 386},
            "reasoning_beside",
        ),
        (
            UsageReading(cached="beside"),
            {"input_tokens": 1000, "cached_input_tokens": 900, "output_tokens": 14, "reasoning_tokens": 386},
            "cached_beside",
        ),
    ],
    ids=["sums", "reasoning", "cached"],
)
def test_a_deployment_says_how_to_read_a_report_that_does_not(
    reading: UsageReading, quantities: dict[str, int], reason: str | None
) -> None:
    report = {
        "prompt_tokens": 1000,
        "completion_tokens": 400,
        "prompt_tokens_details": {"cached_tokens": 900},
        "completion_tokens_details": {"reasoning_tokens": 386},
    }
    with opened_stream(ended(delta(content="4"), usage(**report)), reading=reading) as (_, stream):
        list(stream)
    assert stream.usage.to_model_usage().quantities == quantities
    assert (stream.usage.estimated, stream.usage.reason) == (False, reason)


def test_a_declared_reading_comes_before_the_sums() -> None:
    report = {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 113}
    with opened_stream(ended(delta(content="4"), usage(**report)), reading=UsageReading(reasoning="included")) as (
        _,
        stream,
    ):
        list(stream)
    assert stream.usage.to_model_usage().quantities == {"input_tokens": 12, "output_tokens": 1}


@pytest.mark.parametrize("where", ["choice", "groq"])
def test_a_usage_is_found_beside_its_usual_place(where: str) -> None:
    counts = {"prompt_tokens": 20, "completion_tokens": 7}
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    last = (
        {"choices": [choice | {"usage": counts}]}
        if where == "choice"
        else {"choices": [choice], "x_groq": {"usage": counts}}
    )
    with opened_stream(Raw((delta(content="Paid."), event(last), DONE))) as (_, stream):
        list(stream)
    assert (stream.usage.output_tokens, stream.usage.estimated) == (7, False)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, ProviderRefused, "provider_quota_exhausted"),
        ({"type": "insufficient_quota"}, ProviderRefused, "provider_quota_exhausted"),
        ({"code": "rate_limit_exceeded"}, ProviderUnavailable, "provider_rate_limited"),
        ({"code": 429}, ProviderUnavailable, "provider_rate_limited"),
        ({"code": 502}, ProviderUnavailable, "provider_unavailable"),
        ({"code": "invalid_api_key", "type": "401"}, ProviderRefused, "provider_key_refused"),
    ],
)
@pytest.mark.parametrize("after", [0, 1])
def test_an_error_event_says_what_a_status_would(
    error: dict[str, Any], kind: type[GatewayError], code: str, after: int
) -> None:
    script = Raw((*[delta(content="Half")] * after, event({"error": {"message": "no", **error}})))
    with opened_stream(script) as (_, stream), pytest.raises(kind) as caught:
        list(stream)
    assert caught.value.code == code
    assert caught.value.may_be_billed is bool(after)


def block(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def part(kind: str, text: Any, index: Any = 0) -> bytes:
    field = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}.get(kind, kind)
    return block("content_block_delta", index=index, delta={"type": kind, field: text})


START = block("message_start", message={"model": "m", "usage": {"input_tokens": 20, "output_tokens": 1}})
STOP = block("message_stop")


def message(*events: bytes, reason: Any = "end_turn", counts: Any = None) -> Raw:
    last = block("message_delta", delta={"stop_reason": reason}, usage=counts)
    return Raw((START, *events, last, STOP))


def test_the_other_wire_is_read_as_loosely() -> None:
    odd = (
        block("content_block_start", index=0, content_block=None),
        block("content_block_delta", index=0, delta=None),
        part("text_delta", None),
        part("citations_delta", {"cited_text": "x"}),
        part("input_json_delta", "{}", index=9),
        part("input_json_delta", "{}", index=[2]),
        block("tomorrow", what=1),
    )
    tool = block(
        "content_block_start", index=2, content_block={"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}
    )
    script = message(*odd, part("text_delta", "Three."), tool, counts={"output_tokens": 9})
    with opened_stream(script, "anthropic") as (_, stream):
        chunks = list(stream)
    assert "".join(chunk.text for chunk in chunks) == "Three."
    assert chunks[-1].tool_calls == (ToolCall("t", "look", '{"a": 1}'),)
    assert (stream.usage.input_tokens, stream.usage.output_tokens, stream.usage.estimated) == (20, 9, False)


@pytest.mark.parametrize("counts", [None, {}, {"output_tokens": None}, {"output_tokens": 0}, {"output_tokens": 10**12}])
def test_the_other_wires_reports_are_believed_where_they_can_be_true(counts: Any) -> None:
    with opened_stream(message(part("text_delta", LONG), counts=counts), "anthropic") as (_, stream):
        assert "".join(chunk.text for chunk in stream) == LONG
    assert (stream.usage.output_tokens, stream.usage.estimated) == (count_words(LONG), True)


@pytest.mark.parametrize("reason", ["error", "a reason of tomorrow", 7])
def test_the_other_wires_unknown_ends_are_errors(reason: Any) -> None:
    script = message(part("text_delta", "Half"), reason=reason)
    with opened_stream(script, "anthropic") as (_, stream), pytest.raises(ProviderUnavailable):
        list(stream)


def opening(kind: str) -> tuple[bytes, ...]:
    if kind != "input_json_delta":
        return (START,)
    return (START, block("content_block_start", index=0, content_block={"type": "tool_use", "id": "t", "name": "look"}))


SILENT = {
    "openai reasoning": ("openai", (), delta(reasoning_content="thinking ")),
    "openai tool arguments": (
        "openai",
        (),
        delta(tool_calls=[{"index": 0, "function": {"name": "look", "arguments": "x "}}]),
    ),
    "openai keepalives": ("openai", (delta(content="One "),), b": ping\n\n"),
    "anthropic reasoning": ("anthropic", opening("thinking_delta"), part("thinking_delta", "thinking ")),
    "anthropic tool arguments": ("anthropic", opening("input_json_delta"), part("input_json_delta", "x ")),
    "anthropic pings": ("anthropic", (*opening("text_delta"), part("text_delta", "One ")), block("ping")),
}


@pytest.mark.survive("F4")
@pytest.mark.parametrize("phase", SILENT)
def test_a_cancellation_is_seen_in_every_phase_and_what_came_is_metered(phase: str) -> None:
    """The pieces come without a pause and have no text to show: nothing but their arrival can ask."""
    kind, before, piece = SILENT[phase]
    seen: list[ProviderSimulator] = []

    def check() -> None:
        if seen and seen[0].requests and seen[0].requests[0].deltas_sent >= len(before) + 20:
            raise JobCancelled

    # Two seconds and a half in all; the check is due after a tenth of that.
    script = Raw((*before, *[piece] * 200, DONE), piece_seconds=0.0125)
    with opened_stream(script, kind, check) as (server, stream):
        seen.append(server)
        with pytest.raises(JobCancelled):
            list(stream)
        assert server.requests[0].finished.wait(5)
        assert server.requests[0].client_closed
        sent = server.requests[0].deltas_sent - len(before)
    assert sent < 60, "a cancellation went unnoticed"
    if "keepalives" in phase or "pings" in phase:
        assert stream.usage.output_tokens == 1
    else:
        assert 20 <= stream.usage.output_tokens + 2 <= sent + 2
        assert stream.usage.estimated
