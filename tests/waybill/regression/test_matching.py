"""What a result has to hold to be as expected."""

from typing import Any

import pytest

from waybill.regression.matching import mismatches


@pytest.mark.parametrize(
    ("expected", "result"),
    [
        ({"answer": "ten days"}, {"answer": "Within TEN\n days [1]."}),
        ({"answer": 1234.5}, {"answer": "It costs EUR 1.234,50 a year."}),
        ({"answer": 90}, {"answer": "Within 90 minutes"}),
        ({"total": 90}, {"total": 90.0}),
        ({"total": {"$number": 9.5, "$within": 0.1}}, {"total": 9.58}),
        ({"decision": {"$exact": "refund"}}, {"decision": "refund"}),
        ({"fields": {"date": {"page": None}}}, {"fields": {"date": {"page": None, "text": "x"}}}),
        ({"answered": False, "tags": ["one", 2]}, {"answered": False, "tags": ["number one", 2]}),
        ({}, None),
    ],
)
def test_as_expected(expected: dict[str, Any], result: dict[str, Any] | None) -> None:
    assert list(mismatches(expected, result)) == []


@pytest.mark.parametrize(
    ("expected", "result", "paths"),
    [
        ({"answer": "ten days"}, {"answer": "often days"}, ["answer"]),
        ({"answer": "approved"}, {"answer": "not_approved"}, ["answer"]),
        ({"answer": 9}, {"answer": "19 or 9.5 or 2026-09-09x9"}, ["answer"]),
        ({"answer": "x"}, None, ["answer"]),
        ({"answered": 1}, {"answered": True}, ["answered"]),
        ({"answered": True}, {"answered": 1}, ["answered"]),
        ({"decision": {"$exact": "refund"}}, {"decision": "Refund"}, ["decision"]),
        ({"fields": {"a": 1, "b": 2}}, {"fields": {"a": 1, "b": 3}}, ["fields.b"]),
        ({"fields": {"a": 1}}, {"fields": "1"}, ["fields"]),
        ({"tags": ["one"]}, {"tags": []}, ["tags"]),
        ({"tags": ["one", "two"]}, {"tags": ["one", "three"]}, ["tags.1"]),
    ],
)
def test_not_as_expected(expected: dict[str, Any], result: dict[str, Any] | None, paths: list[str]) -> None:
    assert [each.path for each in mismatches(expected, result)] == paths
