"""Fields of receipts and invoices by their kinds, whatever they are called; what is not there or not sure is null."""

from typing import Any

import pytest

from pipelines.multimodal.filling.dates import read_dates
from pipelines.multimodal.filling.fill import fill
from pipelines.multimodal.filling.kinds import Kind, kind_of_field
from tests.evals.multimodal.others import lines_of, read_bills, read_others

TILL = """
KEDAI MUTIARA MAJU SDN BHD (812345-W)
fresh food for everyone!
NO. 7 & 9, JALAN KENARI 4/2,
BANDAR PUCHONG JAYA,
47100 PUCHONG, SELANGOR
TEL: 03-8075 1234
TAX INVOICE
INV NO: 0012345 | 04/11/2017 18:22
Rice 5KG | 26.90
Cooking oil | 11.20
Total (Excluding GST) | 35.94
GST 6% | 2.16
Total Inclusive of GST | 38.10
Rounding Adj | 0.02
TOTAL RM | 38.12
CASH RM | 50.00
CHANGE RM | 11.88
GST Summary | Amount(RM) | Tax(RM)
Total | 35.94 | 2.16
"""
INVOICE = """
Oakline Furniture Ltd
22 Station Road, Leeds LS1 4DY
Invoice number: 4417
Date of issue: 5 March 2026
Due date: 4 April 2026
Bill to:
Quarry Tools Inc
8 Mill Lane, Sheffield S1 2AB
Description | Qty | Amount
Oak chair | 2 | 180.00
Oak table | 1 | 420.00
Net total | £600.00
VAT 20% | £120.00
Amount due | £720.00
"""


def ask(text: str, name: str, **schema: Any) -> Any:
    return fill({"type": "object", "properties": {name: schema}}, lines_of(text))[name].value


@pytest.mark.parametrize(
    "name", ["total", "grand_total", "invoiceTotal", "total_amount", "amount_due", "totalInclVat", "sum"]
)
def test_the_total_is_what_the_other_amounts_confirm_whatever_it_is_called(name: str) -> None:
    assert ask(TILL, name, type="number") == 38.12
    assert ask(INVOICE, name, type="number") == 720.0


def test_a_field_without_a_distinctive_name_is_known_by_its_title_or_description() -> None:
    assert ask(TILL, "f1", type="number", title="Grand total") == 38.12
    assert ask(TILL, "f2", type="string", description="The name of the merchant") == "KEDAI MUTIARA MAJU SDN BHD"
    assert ask(TILL, "f3", type="string", description="The phone of the merchant") is None


@pytest.mark.parametrize(
    ("name", "till", "invoice"),
    [
        ("tax", 2.16, 120.0), ("vat_amount", 2.16, 120.0), ("subtotal", 35.94, 600.0), ("net_amount", 35.94, 600.0),
        ("cash", 50.0, None), ("amount_paid", 50.0, None), ("change_due", 11.88, None), ("rounding", 0.02, None),
    ],
)  # fmt: skip
def test_other_amounts(name: str, till: float, invoice: float | None) -> None:
    assert ask(TILL, name, type="number") == till
    assert ask(INVOICE, name, type="number") == invoice


@pytest.mark.parametrize("name", ["company", "vendor", "seller_name", "merchantName", "store"])
def test_the_seller_is_the_company_and_no_slogan(name: str) -> None:
    assert ask(TILL, name, type="string") == "KEDAI MUTIARA MAJU SDN BHD"
    assert ask(INVOICE, name, type="string") == "Oakline Furniture Ltd"


def test_addresses_are_joined_over_their_lines_and_are_of_whom_was_asked() -> None:
    assert ask(TILL, "address", type="string") == (
        "NO. 7 & 9, JALAN KENARI 4/2, BANDAR PUCHONG JAYA, 47100 PUCHONG, SELANGOR"
    )
    assert ask(INVOICE, "seller_address", type="string") == "22 Station Road, Leeds LS1 4DY"
    assert ask(INVOICE, "billing_address", type="string") == "8 Mill Lane, Sheffield S1 2AB"
    found = ask(INVOICE, "seller", type="object", properties={"name": {"type": "string"}, "address": {}, "fax": {}})
    assert found == {"name": "Oakline Furniture Ltd", "address": "22 Station Road, Leeds LS1 4DY", "fax": None}


@pytest.mark.parametrize("name", ["date", "issue_date", "invoiceDate", "transaction_date"])
def test_the_date_is_the_documents_own(name: str) -> None:
    assert ask(INVOICE, name, type="string", format="date") == "2026-03-05"
    assert ask(TILL, name, type="string", format="date") == "2017-11-04"


def test_what_was_paid_leaves_the_change_and_may_be_printed_as_a_minus() -> None:
    till = "Corner Shop\nTotal | 71.00\nCash | 71.00\nCash received | -101.00\nChange | 30.00"
    assert ask(till, "cash_received", type="number") == 101


@pytest.mark.parametrize(("truth", "lines"), [pytest.param(*each, id=each[0]["company"]) for each in read_bills()])
def test_bills_of_other_countries(truth: dict[str, str], lines: list[dict[str, Any]]) -> None:
    types: dict[str, Any] = {"total": {"type": "number"}, "date": {"type": "string", "format": "date"}}
    found = fill({"properties": {**{name: {} for name in truth}, **types}}, lines)
    assert {name: match.value for name, match in found.items()} == {**truth, "total": float(truth["total"])}


def test_where_no_total_can_be_read_the_payment_tells_it() -> None:
    assert ask("Corner Shop\nTea | 4.00\nL | 4.00\nCash | 10.00\nChange | 6.00", "total", type="number") == 4
    assert ask("Corner Shop\nTea | 4.00", "total", type="number") is None


def test_letters_that_readers_confuse_are_mended_where_the_word_is_known() -> None:
    till = "KEDAI MUTIARA 5DN DHD\nBIk 4, JIn McIntosh, Bandar Chéras, 43200 Cheras\nReceipt\nTotal | 4.00"
    assert ask(till, "company", type="string") == "KEDAI MUTIARA SDN BHD"
    assert ask(till, "address", type="string") == "Blk 4, Jln McIntosh, Bandar Cheras, 43200 Cheras"


def test_names_and_addresses_have_their_dots_and_spaces() -> None:
    till = "SANJUNG REALITI SDN. BHD. (779763-K)\nNO12, JALAN BESAR,\n57000KL\nReceipt\nTotal | 4.00"
    assert ask(till, "company", type="string") == "SANJUNG REALITI SDN. BHD."
    assert ask(till, "address", type="string") == "NO 12, JALAN BESAR, 57000 KL"
    assert ask("99 SPEED MARTS/B\nReceipt\nTotal | 4.00", "company", type="string") == "99 SPEED MART S/B"


def test_currencies() -> None:
    assert ask("Item | Price\n | RM\nTea | 2.00", "currency", type="string") == "MYR"
    assert ask(TILL, "currency", type="string") == "MYR"
    assert ask(INVOICE, "currency_code", type="string") == "GBP"
    assert ask(INVOICE, "currency", enum=["EUR", "GBP"]) == "GBP"
    assert ask(INVOICE, "currency", enum=["EUR", "USD"]) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12 MAR 2018", "2018-03-12"), ("28-12-17 18:52", "2017-12-28"), ("[Sales]2018-01-0522:55:25", "2018-01-05"),
        ("Date:28-04-201820:10:51", "2018-04-28"), ("09-APR-18", "2018-04-09"), ("30.03.2018", "2018-03-30"),
        ("1. März 2024", "2024-03-01"), ("2018年3月30日", "2018-03-30"), ("20180330", "2018-03-30"),
        ("03-12-345678", None), ("31/02/2018", None), ("12/25/2019", "2019-12-25"), ("version 1.2.3", None),
    ],
)  # fmt: skip
def test_dates_as_tills_print_them(text: str, found: str | None) -> None:
    assert next((dated.value.isoformat() for dated in read_dates(text)), None) == found


def test_of_an_american_bill_the_month_comes_first_and_another_date_decides_where_there_is_one() -> None:
    american = "Prairie Pharmacy\n12 Oak Street\nAustin, TX 78701\nDate: 04/03/2025\nTotal | $10.80"
    assert ask(american, "date", type="string", format="date") == "2025-04-03"
    decided = american + "\nBack by 25/04/2025"
    assert ask(decided, "date", type="string", format="date") == "2025-03-04"


def test_optional_fields_as_libraries_write_them() -> None:
    null = {"type": "null"}
    assert ask(TILL, "total", anyOf=[{"type": "number"}, null], title="Total") == 38.12
    assert ask(TILL, "date", anyOf=[null, {"type": "string", "format": "date"}]) == "2017-11-04"
    items = {"type": "array", "items": {"type": "object", "properties": {"name": {}, "amount": {"type": "number"}}}}
    assert ask(TILL, "items", anyOf=[items, null])[0] == {"name": "Rice 5KG", "amount": 26.9}
    assert ask(TILL, "total", type=["null", "number"]) == 38.12


def test_schemas_that_say_little_and_figures_that_are_none_end_nothing() -> None:
    odd = {"type": "array", "items": True}
    assert ask(TILL, "items", **odd) is None
    open_row = {"type": "array", "items": {"type": "object", "properties": {"name": True, "amount": True}}}
    assert ask(TILL, "items", **open_row)[0] == {"name": "Rice 5KG", "amount": "26.90"}
    long = "Receipt\nTea | 123,456,789,123,456.00 | 1.00\nTotal | 1.00"
    assert ask(long, "items", **open_row)[0]["amount"] == "1.00"
    assert ask("Receipt\nTotal | 123,456,789,123,456,789.00", "total", type="number") is None


def test_items_with_and_without_a_head_over_them() -> None:
    items: dict[str, Any] = {name: {"type": "number"} for name in ("qty", "amount")}
    items["description"] = {"type": "string"}
    wanted = {"type": "array", "items": {"type": "object", "properties": items}}
    assert ask(INVOICE, "items", **wanted) == [
        {"qty": 2, "amount": 180, "description": "Oak chair"}, {"qty": 1, "amount": 420, "description": "Oak table"},
    ]  # fmt: skip
    till = "Corner Shop\n1 x Tea | 2.00\n00014960 RAISIN BREAD\n2 | 4.50 | 9.00\nTotal | 11.00\nCash | 11.00"
    assert ask(till, "line_items", **wanted) == [
        {"qty": 1, "amount": 2, "description": "Tea"}, {"qty": 2, "amount": 9, "description": "RAISIN BREAD"},
    ]  # fmt: skip
    assert ask("Tea | 2.00\nBread | 4.50", "line_items", **wanted) is None


def test_what_is_unsure_is_null_and_says_what_was_read() -> None:
    lines = lines_of(TILL)
    for line in lines:
        line["confidence"] = 0.3 if "KENARI" in line["text"] else line["confidence"]
    match = fill({"properties": {"address": {"type": "string"}}}, lines)["address"]
    assert match.value is None
    assert 0 < match.confidence < 0.4
    assert "JALAN KENARI" in (match.note or "")


@pytest.mark.parametrize(("name", "absent", "lines"), [pytest.param(*each, id=each[0]) for each in read_others()])
def test_other_documents_are_not_filled(name: str, absent: frozenset[str], lines: list[dict[str, Any]]) -> None:
    types = {"total": {"type": "number"}, "date": {"type": "string", "format": "date"}, "company": {}, "address": {}}
    found = fill({"properties": types}, lines)
    assert {field: found[field].value for field in absent} == dict.fromkeys(absent), name
    assert all(found[field].note for field in absent)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("due_date", None), ("birth_date", None), ("total_items", None), ("tax_id", None), ("company_phone", None),
        ("customer", None), ("email_address", None), ("total_excl_tax", Kind.SUBTOTAL), ("totalTax", Kind.TAX),
        ("gross_amount", Kind.TOTAL), ("VATAmount", Kind.TAX), ("transaction_total", Kind.TOTAL),
        ("restaurantName", Kind.SELLER), ("Company Name", Kind.SELLER), ("date_of_purchase", Kind.DATE),
        ("vat_rate", None),
    ],
)  # fmt: skip
def test_kinds_by_name(name: str, kind: Kind | None) -> None:
    assert kind_of_field(name, {}) is kind
