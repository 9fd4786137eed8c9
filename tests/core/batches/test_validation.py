"""What a line must be."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from core.batches.records import LINES_MAX, LineRule
from core.batches.validation import LINE_MAX_BYTES, PROBLEMS_MAX, LineValidator
from tests.factories.capabilities import OTHER, PROBE

OFFERED = {PROBE.id: PROBE, OTHER.id: OTHER}


def validator(
    *, default: str | None = "probe.act", needs_cap: bool = False, shared: Mapping[str, str] | None = None
) -> LineValidator:
    return LineValidator(
        OFFERED,
        frozenset({"probe.act"}),
        frozenset(),
        default=default,
        shared_metadata=shared or {},
        needs_cap=needs_cap,
    )


def problems(checked: LineValidator) -> list[tuple[int, str, str]]:
    return [(each.line, each.path, each.code) for each in checked.problems]


def test_a_line_that_is_right_says_what_it_asks_for() -> None:
    checked = validator()
    line = checked.read(1, orjson.dumps({"custom_id": "a", "input": {"note": "x"}, "metadata": {"k": "v"}}))
    assert line is not None
    assert (line.custom_id, line.capability, line.input, line.metadata) == ("a", "probe.act", {"note": "x"}, {"k": "v"})
    assert (checked.total, checked.bad_lines) == (1, 0)


@pytest.mark.parametrize(
    ("given", "path", "code"),
    [
        ([], "", LineRule.OBJECT_EXPECTED),
        ({"custom_id": "a"}, "input", LineRule.OBJECT_EXPECTED),
        ({"custom_id": "a", "input": []}, "input", LineRule.OBJECT_EXPECTED),
        ({"input": {}}, "custom_id", LineRule.CUSTOM_ID),
        ({"custom_id": "x" * 201, "input": {}}, "custom_id", LineRule.CUSTOM_ID),
        ({"custom_id": 1, "input": {}}, "custom_id", LineRule.CUSTOM_ID),
        ({"custom_id": "a", "input": {}, "url": "/v1"}, "url", LineRule.EXTRA_FORBIDDEN),
        ({"custom_id": "a", "input": {}, "capability": "no.such"}, "capability", LineRule.CAPABILITY_UNKNOWN),
        ({"custom_id": "a", "input": {}, "capability": 5}, "capability", LineRule.CAPABILITY_UNKNOWN),
        ({"custom_id": "a", "input": {}, "capability": "other.act"}, "capability", LineRule.CAPABILITY_DENIED),
        ({"custom_id": "a", "input": {"unknown": 1}}, "input.unknown", "extra_forbidden"),
        ({"custom_id": "a", "input": {"note": "a\x00b"}}, "", LineRule.INVALID_TEXT),
        ({"custom_id": "a", "input": {}, "metadata": {"k": 1}}, "metadata.k", LineRule.METADATA),
        ({"custom_id": "a", "input": {}, "metadata": {str(n): "" for n in range(33)}}, "metadata", LineRule.METADATA),
    ],
)
def test_what_is_wrong_is_named(given: Any, path: str, code: str) -> None:
    checked = validator()
    assert checked.check(7, given) is None
    assert problems(checked) == [(7, path, code)]
    assert checked.bad_lines == 1


def test_a_line_without_a_capability_needs_the_batchs() -> None:
    checked = validator(default=None)
    assert checked.check(1, {"custom_id": "a", "input": {}}) is None
    assert problems(checked) == [(1, "capability", LineRule.MISSING)]


def test_a_name_is_a_lines_own() -> None:
    checked = validator()
    line = {"custom_id": "a", "input": {}}
    assert checked.check(1, line) is not None
    assert checked.check(2, line) is None
    assert problems(checked) == [(2, "custom_id", LineRule.DUPLICATE_CUSTOM_ID)]


def test_json_that_is_none_too_long_or_too_deep() -> None:
    checked = validator()
    nested: Any = {}
    for _ in range(70):
        nested = {"x": nested}
    checked.read(1, b"{")
    checked.read(2, b'{"custom_id": "' + b"x" * LINE_MAX_BYTES + b'"}')
    checked.check(3, {"custom_id": "a", "input": nested})
    checked.refuse_number(LINES_MAX + 1)
    assert problems(checked) == [
        (1, "", LineRule.MALFORMED_JSON),
        (2, "", LineRule.LINE_TOO_LONG),
        (3, "", LineRule.NESTING_TOO_DEEP),
        (LINES_MAX + 1, "", LineRule.TOO_MANY_LINES),
    ]


def test_labels_of_batch_and_line_count_together() -> None:
    shared = {f"of the batch {number}": "" for number in range(32)}
    line: Mapping[str, Any] = {"custom_id": "a", "input": {}, "metadata": {"one more": ""}}
    assert validator(shared=shared).check(1, line) is None


def test_a_cap_for_all_needs_one_for_each_unless_the_capability_has_one() -> None:
    checked = validator(needs_cap=True)
    assert checked.check(1, {"custom_id": "a", "input": {}}) is None
    assert problems(checked) == [(1, "capability", LineRule.MAX_LINE_COST_MISSING)]


def test_all_bad_lines_are_counted_and_the_first_are_reported() -> None:
    checked = validator()
    for number in range(1, PROBLEMS_MAX + 51):
        checked.check(number, {})
    assert (len(checked.problems), checked.bad_lines) == (PROBLEMS_MAX, PROBLEMS_MAX + 50)
