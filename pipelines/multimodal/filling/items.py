"""The items of a bill without a table head: a text followed by an amount, on one line or on two."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pipelines.multimodal.filling.labels import Match, words_of
from pipelines.multimodal.filling.money import CENTS, label_words, role_of
from pipelines.multimodal.filling.printed import letters
from pipelines.multimodal.filling.tables import properties_of_items
from pipelines.multimodal.filling.values import read_amounts, read_value

_MEANINGS = {
    "description": {"description", "item", "name", "product", "article", "service", "text", "title", "goods"},
    "quantity": {"quantity", "qty", "count", "pieces", "units"},
    "price": {"price", "rate", "unit", "each"},
    "amount": {"amount", "total", "sum", "value", "cost"},
}
_QUANTITY_FIRST = re.compile(r"^\W*(?:(\d{1,3}) ?[xX*@]|(\d{1,2})) (?=\S)")
_QUANTITY = re.compile(r"(?<![\d.,])(\d{1,3}(?:[.,]0{1,3})?) ?(?:[xX*@]|(?=\s|$|\|))")
_CODE = re.compile(r"^\W*\d{4,14}\W+")
_CONFIDENCE = 0.75


def find_items(schema: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Match | None:
    """The items above the first sum, in the properties of `schema`; None without two amounts or a sum below them."""
    properties = properties_of_items(schema)
    wanted = {name: _meaning(name) for name in properties}
    if "description" not in wanted.values() and "amount" not in wanted.values():
        return None
    rows: list[dict[str, Any]] = []
    used: list[int] = []
    waiting: int | None = None
    for index, line in enumerate(lines):
        text = str(line["text"])[:300]
        amounts = [amount for found in CENTS.finditer(text) for amount in read_amounts(found[0].replace(" ", ""))]
        role, _ = role_of(label_words(text), amounts[-1] if amounts else None)
        if role is not None and amounts and rows:
            break
        label = _label(text)
        if not amounts:
            waiting = index if letters(label) > 2 else None  # noqa: PLR2004 - a mark is no name
            continue
        if role is not None:
            continue
        names = label if letters(label) > 2 else "" if waiting is None else _label(str(lines[waiting]["text"]))  # noqa: PLR2004
        if names:
            used += [index] if letters(label) > 2 or waiting is None else [waiting, index]  # noqa: PLR2004
            figures = _figures(text, amounts)
            rows.append({"description": names.removesuffix(f" {figures['quantity']}"), **figures})
        waiting = None
    else:
        return None  # without a sum below them, amounts may be anything
    if not rows:
        return None
    values = [{name: _typed(row.get(wanted[name] or ""), properties[name]) for name in wanted} for row in rows]
    return Match(values, round(_CONFIDENCE * min(float(lines[index]["confidence"]) for index in used), 3), tuple(used))


def _meaning(name: str) -> str | None:
    there = set(words_of(re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)))
    return next(
        (meaning for meaning in ("price", "quantity", "description", "amount") if there & _MEANINGS[meaning]), None
    )


def _label(text: str) -> str:
    """The text before the first amount, without a quantity or an article's number in front."""
    first = CENTS.search(text)
    head = text[: first.start()] if first else text
    head = _CODE.sub("", _QUANTITY_FIRST.sub("", head))
    return head.replace(" | ", " ").strip(" |:$€£").removesuffix("RM").strip(" |:-@xX")


def _figures(text: str, amounts: Sequence[Decimal]) -> dict[str, Any]:
    """Quantity, price and amount; quantity times price is the amount."""
    head = _QUANTITY_FIRST.match(text)
    counted = [head[1] or head[2]] if head else [found[1] for found in _QUANTITY.finditer(CENTS.sub(" ", text))]
    quantity = Decimal(counted[0].replace(",", ".")) if counted else None
    price = amounts[-2] if len(amounts) > 1 else None
    if quantity is None and price:
        ratio = amounts[-1] / price
        quantity = ratio if ratio == ratio.to_integral_value() else None
    return {"quantity": quantity, "price": price, "amount": amounts[-1]}


def _typed(value: Any, schema: Any) -> Any:
    return None if value is None else read_value(str(value), schema if isinstance(schema, dict) else {})
