"""Answers with the oddities of real servers, byte by byte, one a file; and what is to be made of each."""

from pathlib import Path
from typing import Any

import pytest

from core.gateway.errors import GatewayError
from tests.core.gateway.test_wire_quirks import opened_stream
from tests.factories.provider_simulator import Raw

FOLDER = Path(__file__).parent / "odd_answers"

# Finish, output tokens, whether they were counted here, and why.
PLAIN = ("stop", 5, False, None)
ANSWERS: dict[str, tuple[str, tuple[str, int, bool, str | None]]] = {
    "azure_async_filter": ("Color is light.", PLAIN),
    "content_parts": ("The answer.", ("stop", 9, False, None)),
    "delta_null": ("Hi.", PLAIN),
    "finish_model_length": ("Half an answ", ("length", 5, False, None)),
    "nul": ("ab", PLAIN),
    "plain_json": ("Not streamed.", PLAIN),
    "refusal": ("I'm sorry, I can't help with that.", ("stop", 9, False, None)),
    "surrogate": ("bad \ufffd half", PLAIN),
    "usage_bigger_then_zero": ("The quick brown fox jumps over the lazy dog. " * 40, ("stop", 400, False, None)),
    "usage_deepseek": ("4", ("stop", 10, False, None)),
    "usage_empty_obj": ("Paid answer.", ("stop", 3, True, "usage_missing")),
    "usage_huge": ("Paid answer.", ("stop", 3, True, "usage_implausible")),
    "usage_in_choice_moonshot": ("The quick brown fox jumps over the lazy dog. " * 40, ("stop", 400, False, None)),
    "usage_partial": ("Paid answer.", ("stop", 3, True, "usage_partial")),
    "usage_xai2": ("4", ("stop", 387, False, "reasoning_beside")),
    "usage_zero": ("The quick brown fox jumps over the lazy dog. " * 40, ("stop", 400, True, "usage_implausible")),
}
CALLS = {
    "tool_args_object": ['{"city": "Paris"}'],
    "tool_no_index": ['{"city":"Paris"}'],
    "tool_same_index": ['{"city":"Paris"}', '{"city":"Rome"}'],
}
ERRORS = {
    "error_first": ("provider_quota_exhausted", False),
    "finish_empty_cut": ("provider_stream_cut", True),
    "finish_error": ("provider_unavailable", True),
    "finish_resource": ("provider_unavailable", True),
}


def answer(name: str) -> Any:
    return opened_stream(Raw(((FOLDER / f"{name}.sse").read_bytes(),)))


def test_every_file_has_a_right_value() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {*ANSWERS, *CALLS, *ERRORS}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_kept_and_its_usage_is_what_can_be_true(name: str) -> None:
    text, expected = ANSWERS[name]
    with answer(name) as (_, stream):
        assert "".join(chunk.text for chunk in stream).strip() == text.strip()
    usage = stream.usage
    assert (stream.finish, usage.output_tokens, usage.estimated, usage.reason) == expected


@pytest.mark.parametrize("name", CALLS)
def test_tool_calls_are_told_apart(name: str) -> None:
    with answer(name) as (_, stream):
        calls = [call for chunk in stream for call in chunk.tool_calls]
    assert [(call.name, call.arguments) for call in calls] == [("look", arguments) for arguments in CALLS[name]]
    assert len({call.id for call in calls}) == len(calls)


@pytest.mark.parametrize("name", ERRORS)
def test_what_did_not_end_well_is_no_success(name: str) -> None:
    with answer(name) as (_, stream), pytest.raises(GatewayError) as failed:
        list(stream)
    assert (failed.value.code, failed.value.may_be_billed) == ERRORS[name]


def test_cached_tokens_have_their_own_price() -> None:
    with answer("usage_deepseek") as (_, stream):
        list(stream)
    assert stream.usage.to_model_usage().quantities == {
        "input_tokens": 100,
        "cached_input_tokens": 900,
        "output_tokens": 10,
    }
