"""The parts that read and fill, without models."""

from decimal import Decimal
from typing import Any

import pytest

from core.kit.errors import CapabilityFailure
from pipelines.multimodal.concluding import stands_in
from pipelines.multimodal.filling.fill import fill, require_schema, violations
from pipelines.multimodal.filling.values import read_amounts, read_date
from pipelines.multimodal.reading.layout import Piece, read_order


def piece(text: str, left: float, top: float, width: float = 200) -> Piece:
    return Piece(text, (left, top, left + width, top + 16))


def test_columns_are_read_one_after_the_other_below_a_headline_and_above_a_table() -> None:
    page = [piece("Headline", 150, 10, 300)]
    page += [piece(f"left {number}", 20, 50 + 20 * number) for number in range(4)]
    page += [piece(f"right {number}", 340, 50 + 20 * number) for number in range(4)]
    page += [piece(cell, 20 + 180 * number, 160, 50) for number, cell in enumerate(("a", "b", "c"))]
    lines = read_order(page, 600)
    assert [line["text"] for line in lines] == [
        "Headline", "left 0", "left 1", "left 2", "left 3", "right 0", "right 1", "right 2", "right 3", "a | b | c"
    ]  # fmt: skip
    assert lines[-1]["box"] == [20, 160, 430, 176]
    assert len(lines[-1]["cells"]) == 3


def test_the_rows_of_a_page_that_is_not_straight_are_its_own() -> None:
    tilt = 0.05
    places = [(left, top + tilt * left) for top in (20, 50) for left in (20, 520)]
    pieces = [
        Piece(text, (left, top, left + 60, top + 16), drop=tilt * left)
        for text, (left, top) in zip(("Tea", "2.00", "Bread", "3.10"), places, strict=True)
    ]
    assert [line["text"] for line in read_order(pieces, 600)] == ["Tea | 2.00", "Bread | 3.10"]


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1,234.50", "1234.50"), ("1.234,50", "1234.50"), ("12,40 EUR", "12.40"), ("1 250", "1250"), ("7,500", "7500")],
)
def test_amounts(text: str, amount: str) -> None:
    assert read_amounts(text) == [Decimal(amount)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-02-11", "2026-02-11"),
        ("3 May 2026", "2026-05-03"),
        ("June 21, 2026", "2026-06-21"),
        ("28/09/26", "2026-09-28"),
        ("9/28/2026", "2026-09-28"),
        ("31 Feb 2026", None),
        ("no date", None),
    ],
)
def test_dates(text: str, found: str | None) -> None:
    assert read_date(text) == found


def test_what_is_not_found_is_null_with_confidence_zero_and_a_violation_if_it_was_required() -> None:
    schema = {
        "type": "object",
        "properties": {"total": {"type": "number"}, "phone": {"type": "string"}},
        "required": ["total", "phone"],
    }
    cells = (("Subtotal", 20, 20), ("9.00", 400, 20), ("Total", 20, 50), ("9.90", 400, 50))
    lines = read_order([piece(text, left, top, 60) for text, left, top in cells], 600)
    found = fill(schema, lines)
    assert (found["phone"].value, found["phone"].note) == (None, "not found in the files")
    assert found["total"].value == 9.9
    assert found["total"].lines == (1,)
    assert violations(schema, {"total": 9.9, "phone": None}) == ["/phone: None is not of type 'string'"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": {"$ref": "http://example.com/s"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}},
        {"type": "object", "properties": {"a": {"type": "nothing"}}},
    ],
)
def test_schemas_that_cannot_be_filled_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(CapabilityFailure) as refused:
        require_schema(schema)
    assert refused.value.code == "schema_invalid"


def test_a_models_value_counts_only_where_it_was_read() -> None:
    assert stands_in(19.9, ["TOTAL | 19.90"])
    assert stands_in("2026-03-14", ["Date: 14 March 2026"])
    assert stands_in({"a": "Rye bread"}, ["1 x Rye bread"])
    assert not stands_in(20.9, ["TOTAL | 19.90"])
