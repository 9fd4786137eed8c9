"""JSON from outside is made safe once: what comes out can be stored by Postgres and read by every reader."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.gateway.models import Chunk, ToolCall, Usage
from core.gateway.streams import Meter, MeteredStream
from core.kit.errors import Unstorable
from core.kit.json_values import clean, clean_text, dumps, loads, loads_foreign

_TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.integers(-(10**320), 10**320),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(ANYTHING)
@example({"\ud800": 6.103515625e-05})
@example(["a\x00", 1e-05])
@example(["\\u0000", 1e-05, 2**70])
@settings(max_examples=300)
def test_what_is_written_can_be_read_by_every_reader(value: Any) -> None:
    try:
        body = dumps(value)
    except Unstorable:
        with pytest.raises((ValueError, OverflowError)):
            # Only numbers that no double comes near are refused.
            _require_doubles(value)
        return
    assert loads(body) == clean(value) == json.loads(body)
    assert dumps(loads(body)) == body
    orjson.loads(body)
    assert b"\\u0000" not in body.replace(b"\\\\", b"")
    body.decode()


def _require_doubles(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _require_doubles(item)
    elif isinstance(value, list):
        for item in value:
            _require_doubles(item)
    elif isinstance(value, int | float) and not abs(float(value)) < 2.0**1023:
        raise ValueError(value)


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("a\x00b", "ab"),
        ("bad \ud83d half", "bad \ufffd half"),
        ("two halves \ud83d\ude00", "two halves \U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("Zażółć \U0001f600", "Zażółć \U0001f600"),
    ],
)
def test_text_is_mended(given_text: str, kept: str) -> None:
    assert clean_text(given_text) == kept


def test_names_are_mended_and_stay_in_their_order() -> None:
    assert dumps({"z\x00": 1, "a": "\ud800", "m": 2**70}) == '{"z":1,"a":"\ufffd","m":1180591620717411303424}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, {"a": [None, float("-inf")]}, {1, 2}])
def test_what_json_has_no_form_for_is_refused(value: Any) -> None:
    with pytest.raises(Unstorable):
        dumps({"value": value})


def test_a_value_nested_too_deeply_is_refused_from_any_source() -> None:
    nested: Any = 1
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(Unstorable):
        dumps(nested)
    with pytest.raises(ValueError, match="nested"):
        loads_foreign("[" * 5000 + "]" * 5000)


def test_long_integers_stay_exact() -> None:
    assert loads(b'{"id":123456789012345678901234567890}') == {"id": 123456789012345678901234567890}
    assert loads_foreign('{"name":"An\\ud83dna","n":6.02214076e23}') == {"name": "An\ufffdna", "n": 6.02214076e23}


@pytest.mark.parametrize("body", ["NaN", "[Infinity]", '{"a":1e999}', "{'a':1}"])
def test_what_is_not_json_is_refused(body: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of its kinds
        loads_foreign(body)


def test_a_character_that_comes_in_two_halves_is_one() -> None:
    pieces = (Chunk(text) for text in ("smile \ud83d", "\ude00 and \ud83d", "", "x\x00", "\ud83d"))
    stream = MeteredStream(pieces, Meter(lambda _: Usage("m", 0, 0)), lambda: None)
    assert "".join(chunk.text for chunk in stream) == "smile \U0001f600 and \ufffdx\ufffd"


def test_a_tool_call_is_mended() -> None:
    pieces = (Chunk("", tool_calls=(ToolCall("c\x00", "find", '{"a":"\ud800"}'),)) for _ in range(1))
    [chunk] = MeteredStream(pieces, Meter(lambda _: Usage("m", 0, 0)), lambda: None)
    assert chunk.tool_calls == (ToolCall("c", "find", '{"a":"\ufffd"}'),)
