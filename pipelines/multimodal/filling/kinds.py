"""Determines the kind of field of a property, by the words of its name, its title or its description."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Kinds that bills have whatever their labels are; a property of any other kind is looked for by its label."""

    TOTAL = "total"
    SUBTOTAL = "subtotal"
    TAX = "tax"
    PAID = "paid"
    CHANGE = "change"
    ROUNDING = "rounding"
    CURRENCY = "currency"
    DATE = "date"
    SELLER = "seller"
    ADDRESS = "address"


AMOUNTS = frozenset({Kind.TOTAL, Kind.SUBTOTAL, Kind.TAX, Kind.PAID, Kind.CHANGE, Kind.ROUNDING})

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FILLER = frozenset(
    {
        "the", "a", "an", "of", "on", "in", "at", "for", "to", "by", "and", "or", "this", "that", "is", "was", "as",
        "its", "it", "printed", "shown", "stated", "written", "given", "full", "exact", "invoice", "invoices",
        "receipt", "receipts", "bill", "bills", "document", "doc", "value", "field", "text", "string", "number",
        "decimal", "float",
    }
)  # fmt: skip
_SELLERS = frozenset(
    {
        "vendor", "merchant", "company", "seller", "supplier", "store", "shop", "issuer", "retailer", "payee", "biller",
        "provider", "business", "restaurant", "firm", "organization", "organisation",
    }
)  # fmt: skip
_OF_TOTALS = frozenset(
    {
        "grand", "due", "final", "overall", "payable", "pay", "price", "cost", "charged", "owed", "purchase", "billed",
        "order", "transaction", "sales",
    }
)  # fmt: skip
# A kind matches when a core word is present, and no word beside it points elsewhere. The first match wins.
_KINDS: tuple[tuple[Kind, frozenset[str], frozenset[str]], ...] = (
    (
        Kind.SUBTOTAL,
        frozenset({"subtotal", "sub", "net", "excl", "excluding", "exclusive", "before", "untaxed", "taxable"}),
        frozenset({"total", "amount", "tax", "vat", "gst", "sum", "price"}),
    ),
    (
        Kind.TOTAL,
        frozenset({"incl", "including", "inclusive", "with", "after", "gross"}),
        frozenset({"total", "amount", "tax", "taxes", "vat", "gst", "sum", "price", "grand"}),
    ),
    (
        Kind.TAX,
        frozenset({"tax", "taxes", "vat", "gst", "sst", "mwst", "hst"}),
        frozenset({"total", "amount", "sales", "sum", "paid", "due"}),
    ),
    (Kind.CHANGE, frozenset({"change"}), frozenset({"due", "amount", "returned", "cash"})),
    (Kind.ROUNDING, frozenset({"rounding", "rounded"}), frozenset({"amount", "adjustment", "difference"})),
    (
        Kind.PAID,
        frozenset({"paid", "cash", "tendered", "tender", "received", "payment"}),
        frozenset({"amount", "sum", "total", "customer"}),
    ),
    (Kind.CURRENCY, frozenset({"currency"}), frozenset({"code", "iso", "symbol", "total", "amount"})),
    (
        Kind.TOTAL,
        frozenset({"total", "totals", "amount", "payable", "sum", "balance"}),
        _OF_TOTALS,
    ),
    (
        Kind.DATE,
        frozenset({"date", "dated", "issued", "day"}),
        frozenset({"issue", "issued", "transaction", "purchase", "sale", "sales", "tax", "billing", "posting", "time"}),
    ),
    (
        Kind.ADDRESS,
        frozenset({"address", "addr"}),
        _SELLERS | {"street", "postal", "location", "branch", "outlet", "restaurant"},
    ),
    (Kind.SELLER, _SELLERS, _SELLERS | {"name", "legal", "trading", "names", "restaurant"}),
)


def kind_of_field(name: str, schema: Mapping[str, Any]) -> Kind | None:
    """The kind of field that `name`, or else the title or the description in `schema`, describes."""
    texts = (name, schema.get("title"), schema.get("description"))
    return next((kind for text in texts if isinstance(text, str) and (kind := _kind(text[:200]))), None)


def _kind(text: str) -> Kind | None:
    words = {word.lower() for word in _TOKEN.findall(text)} - _FILLER
    return next((kind for kind, core, beside in _KINDS if words & core and words <= core | beside), None)
