"""The kinds of fields that bills have, as values of the type that a schema requires."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from pipelines.multimodal.filling.addresses import find_address, find_other_address
from pipelines.multimodal.filling.certainty import confidence_of
from pipelines.multimodal.filling.currencies import find_currency
from pipelines.multimodal.filling.dates import find_date
from pipelines.multimodal.filling.kinds import AMOUNTS, Kind
from pipelines.multimodal.filling.labels import Match
from pipelines.multimodal.filling.money import Amount, Bill, Role, find_paid, find_total, read_bill
from pipelines.multimodal.filling.printed import Read
from pipelines.multimodal.filling.seller import find_seller
from pipelines.multimodal.filling.values import kind_of

_ROLES = {
    Kind.SUBTOTAL: Role.SUBTOTAL,
    Kind.TAX: Role.TAX,
    Kind.CHANGE: Role.CHANGE,
    Kind.ROUNDING: Role.ROUNDING,
}
_TYPES = {
    **dict.fromkeys(AMOUNTS, frozenset({"number", "integer", "string"})),
    Kind.DATE: frozenset({"date", "string"}),
    **dict.fromkeys((Kind.SELLER, Kind.ADDRESS, Kind.CURRENCY), frozenset({"string"})),
}
_FULL_TOTAL = 2.0


def fits(kind: Kind | None, schema: Mapping[str, Any]) -> bool:
    """Whether a property of `schema` can hold a field of `kind`; of choices, only currencies can be one."""
    return kind is not None and kind_of(schema) in _TYPES[kind] and ("enum" not in schema or kind is Kind.CURRENCY)


class Paper:
    """A document with several requested fields: the data that they share is read once."""

    def __init__(self, lines: Sequence[Mapping[str, Any]]) -> None:
        self.lines = lines

    def find(self, kind: Kind, schema: Mapping[str, Any]) -> Match | None:
        """The field of `kind` in the type of `schema`; None when the document does not hold it."""
        match kind:
            case Kind.TOTAL:
                judged = find_total(self._bill)
                return self._amount(kind, judged.amount, schema, judged.strength) if judged else None
            case Kind.DATE:
                own = find_date(self.lines)
                return self._match(kind, own.value, own.lines, own.strength) if own else None
            case Kind.CURRENCY:
                named = find_currency(self.lines)
                is_allowed = named is not None and named[0] in schema.get("enum", (named[0],))
                return self._match(kind, named[0], (named[1],), named[2]) if named and is_allowed else None
            case Kind.SELLER:
                return self._text(kind, self._seller)
            case Kind.ADDRESS:
                return self._text(kind, find_address(self.lines, self._seller))
        best = find_paid(self._bill) if kind is Kind.PAID else self._called(kind)
        return self._amount(kind, best, schema, best.weight) if best else None

    def _called(self, kind: Kind) -> Amount | None:
        """The amount that its line labels most plainly."""
        amounts = self._bill.of(_ROLES[kind])
        if kind is Kind.SUBTOTAL and not amounts:
            total = find_total(self._bill)
            amounts = [net for net in self._bill.of(Role.NET) if total is None or net.value != total.amount.value]
        return max(amounts, key=lambda amount: amount.weight, default=None)

    def address_of(self, words: Collection[str]) -> Match | None:
        """The address of the customer, or of the delivery, that a property with these words requests."""
        return self._text(Kind.ADDRESS, find_other_address(self.lines, words))

    @cached_property
    def _bill(self) -> Bill:
        return read_bill(self.lines)

    @cached_property
    def _seller(self) -> Read | None:
        return find_seller(self.lines)

    def _amount(self, kind: Kind, amount: Amount, schema: Mapping[str, Any], strength: float) -> Match | None:
        value = _typed(amount.value, kind_of(schema))
        return None if value is None else self._match(kind, value, amount.lines, strength)

    def _text(self, kind: Kind, found: Read | None) -> Match | None:
        return self._match(kind, found.text, found.lines, found.strength) if found else None

    def _match(self, kind: Kind, value: Any, lines: Sequence[int], strength: float) -> Match:
        return Match(value, confidence_of(kind, strength, [self.lines[at] for at in lines]), tuple(lines))


def _typed(value: Decimal, kind: str) -> Any:
    if kind == "integer":
        return int(value) if value == value.to_integral_value() else None
    return str(value) if kind == "string" else float(value)
