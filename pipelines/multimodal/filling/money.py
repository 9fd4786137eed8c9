"""Reads the amounts of a bill by their lines' words, and finds the total that the other amounts confirm."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import combinations, product
from typing import Any

from pipelines.multimodal.filling.values import read_amounts
from pipelines.multimodal.filling.words import words


class Role(StrEnum):
    """The meaning of an amount according to its line."""

    TOTAL = "total"
    NET = "net"  # the sum without the tax on invoices, and what is left to pay on tills
    SUBTOTAL = "subtotal"
    TAX = "tax"
    ROUNDING = "rounding"
    SERVICE = "service"
    DISCOUNT = "discount"
    PAID = "paid"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount, its line, and how plainly the line gives its role (0 to 1.5)."""

    value: Decimal
    role: Role
    weight: float
    lines: tuple[int, ...]


@dataclass(slots=True)
class Bill:
    """The amounts of a document with a role, and those without, with their lines."""

    amounts: list[Amount] = field(default_factory=list)
    others: list[tuple[Decimal, int]] = field(default_factory=list)
    has_cents: bool = False
    is_bill: bool = False

    def of(self, role: Role) -> list[Amount]:
        """Those of `role`, from the top."""
        return [amount for amount in self.amounts if amount.role is role]


# An amount with cents as tills print it; a reader takes its zero for an O after a letter.
CENTS = re.compile(r"(?<![\d.,])-?(?:\d{1,3}(?:[,.' ]\d{3}){1,4}|\d{1,9}) ?[.,] ?\d\d(?![\d%]|[.,/-]\d)-?")
_BARE_CENTS = re.compile(r"(?<![\d.,\w])-?[.,]\d\d(?!\d)")
_WHOLE = re.compile(r"(?<![\d.,:/-])\d{1,3}(?:[,.' ]\d{3}){1,4}(?![\d:/%])|(?<![\d.,:/-])\d{1,9}(?![\d:/%.,-])")
_RATE = re.compile(r"\d ?%")
_OH = re.compile(r"[oO](?=[.,]\d\d(?!\d))|(?<=\d[.,])[oO](?=[\doO])|(?<=\d[.,]\d)[oO](?!\w)")
_WORD = re.compile(r"[^\W\d_]+(?:[015][^\W\d_]+)*")
_LETTER_LIKE = str.maketrans("015", "ols")
_LABEL_WORDS_MAX = 9
_AMOUNTS_MAX = 200
# Evidence that amounts are money to be paid: a currency, a tax or a payment, or the paper's own name.
_NAMES_BILL = re.compile(
    r"\b(?:invoice|receipt|bill|taxinvoice|rechnung|quittung|facture|factura|fattura|faktura|paragon|resit)\b|"
    r"\bcash(?:ier)?\b|"
    r"[$€£¥₹]|\bRM ?\d|\(RM\)|\b(?:USD|EUR|GBP|MYR|SGD|CHF|PLN|DH)\b",
    re.IGNORECASE,
)
_OF_BILLS = frozenset({Role.TAX, Role.PAID, Role.CHANGE, Role.SUBTOTAL, Role.ROUNDING})

_TOTALS, _STRONG, _WEAK = words("amounts", "totals"), words("amounts", "strong"), words("amounts", "weak")
_TAXES, _NET = words("amounts", "taxes"), words("amounts", "net")
_WITH, _WITHOUT = words("amounts", "with"), words("amounts", "without")
_PAID, _CHANGE = words("amounts", "paid"), words("amounts", "change")
_DISCOUNT, _COUNTED = words("amounts", "discount"), words("amounts", "counted")
_BESIDE = words("amounts", "beside")


def read_bill(lines: Sequence[Mapping[str, Any]]) -> Bill:
    """The amounts of `lines`. An amount that fills its line belongs to the label beside it."""
    texts = [_plain_zero(str(line["text"])[:400]) for line in lines]
    bill = Bill(has_cents=sum(len(CENTS.findall(text)) for text in texts) > 1)
    for index, text in enumerate(texts):
        found = _last_amount(text, whole=False)
        label = label_words(text if found is None else text[: found[1]])
        role, weight = role_of(label, found[0] if found else None)
        if role is None:
            if found:
                bill.others.append((found[0], index))
            continue
        used: tuple[int, ...] = (index,)
        if found is None and role is not Role.ROUNDING and (aside := _beside(index, texts, lines)) is not None:
            used = (index, aside)
            found = _last_amount(texts[aside], whole=False)
        if found is None and not bill.has_cents:
            found = _last_amount(text, whole=True)
            weight -= 0.25
        if found:
            # The sum of one column among others, or of one rate, is only a part.
            is_of_rate = _RATE.search(text) is not None and not _WITH & set(label)
            is_part = len(CENTS.findall(text)) > 1 or (role is Role.TOTAL and is_of_rate)
            # Some tills print a payment as a negative amount.
            value = abs(found[0]) if role in {Role.PAID, Role.CHANGE} else found[0]
            bill.amounts.append(Amount(value, role, weight - 0.5 * is_part, used))
    # The sums stand at the end, and each is compared with all others.
    del bill.amounts[:-_AMOUNTS_MAX]
    bill.is_bill = any(amount.role in _OF_BILLS for amount in bill.amounts) or any(map(_NAMES_BILL.search, texts))
    return bill


def _plain_zero(text: str) -> str:
    return _OH.sub("0", text)


def _last_amount(text: str, *, whole: bool) -> tuple[Decimal, int] | None:
    """The rightmost amount, and where it starts."""
    found = [*CENTS.finditer(text), *_BARE_CENTS.finditer(text), *(_WHOLE.finditer(text) if whole else ())]
    if not found:
        return None
    last = max(found, key=lambda match: match.end())
    printed = last.group().replace(" ", "")
    amounts = read_amounts("0" + printed.lstrip("-") if printed.lstrip("-")[:1] in ".," else printed.strip("-"))
    if not amounts:
        return None
    is_negative = "-" in printed or text[: last.start()].rstrip().endswith(("-RM", "-$", "-", "(-"))
    return (-amounts[-1] if is_negative else amounts[-1]), last.start()


def _beside(index: int, texts: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> int | None:
    """The line after or before, when it holds an amount and no word: a tilted picture splits a row."""
    for other in (index + 1, index - 1):
        if 0 <= other < len(lines) and lines[other].get("part") == lines[index].get("part"):
            words = [word for word in label_words(texts[other]) if word not in _BESIDE and len(word) > 1]
            if not words and _last_amount(texts[other], whole=False) and _are_near(lines[index], lines[other]):
                return other
    return None


def _are_near(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if "box" not in one or "box" not in other:
        return False
    height = max(one["box"][3] - one["box"][1], other["box"][3] - other["box"][1])
    return bool(abs(one["box"][1] - other["box"][1]) < 1.6 * height)


def label_words(text: str) -> list[str]:
    """The words of `text` in lower case, with letters where a reader mistook them for digits; `total` if nearly so."""
    words = [word.lower().translate(_LETTER_LIKE) for word in _WORD.findall(text)]
    return ["total" if _is_nearly(word, "total") else word for word in words]


def _is_nearly(word: str, target: str) -> bool:
    if len(word) == len(target):
        return sum(one != other for one, other in zip(word, target, strict=True)) <= 1
    return word in {"tota", "otal", "totals", "subtota"} and word != "subtota"


def role_of(words: Sequence[str], value: Decimal | None) -> tuple[Role | None, float]:  # noqa: C901, PLR0911, PLR0912 - a table
    """The role that a line with these words gives its amount, and how plainly."""
    there = set(words)
    if not there or len(words) > _LABEL_WORDS_MAX:
        return None, 0.0
    totals, taxes = there & _TOTALS, there & _TAXES
    is_small = value is not None and abs(value) < 1
    if there & _CHANGE and not totals:
        return Role.CHANGE, 1.0
    if there & {"rounding", "rounded", "round"} and (is_small or (value is None and not totals)):
        return Role.ROUNDING, 1.0
    if "rounding" in there and not totals:
        return Role.TOTAL, 1.2  # what the sum is after rounding
    if totals and taxes and _is_tax(words):
        return Role.TAX, 0.6
    if "subtotal" in there or "zwischensumme" in there or ("sub" in there and totals):
        return Role.SUBTOTAL, 1.0
    if totals and there & _NET and not taxes:
        return Role.NET, 0.9
    if totals and there & _WITHOUT and not there & _WITH:
        return Role.SUBTOTAL, 0.8
    if totals:
        if there & _COUNTED:
            return (Role.DISCOUNT, 0.3) if there & _DISCOUNT else (Role.SUBTOTAL, 0.3)
        strange = there - _TOTALS - _STRONG - _WEAK - _WITH - _TAXES - _BESIDE - _PAID
        weight = 1.5 if there & _STRONG or there & {"amount", "amt"} else 1.1
        return Role.TOTAL, weight - 0.3 * min(2, sum(len(word) > 2 for word in strange))  # noqa: PLR2004
    if there & _DISCOUNT:
        return Role.DISCOUNT, 1.0
    if "service" in there or "svc" in there or "servis" in there:
        return Role.SERVICE, 1.0
    if taxes:
        return Role.TAX, 1.0 if not there & {"summary", "invoice", "no", "id", "reg"} else 0.2
    if there & {"due", "payable", "zahlen", "zapłaty", "pagar", "endbetrag"} and "date" not in there:
        return Role.TOTAL, 1.3
    if there & _PAID and not there & {"no", "number"}:
        return Role.PAID, 1.0
    if words[0] in {"amount", "amt", "balance", "nett", "net"} and len(words) <= 3:  # noqa: PLR2004
        return Role.TOTAL, 0.6
    return None, 0.0


def _is_tax(words: Sequence[str]) -> bool:
    """``Total GST`` and ``Total includes 6% GST`` are taxes; ``Total (inclusive of GST)`` is none."""
    if "includes" in words:
        return True
    return not set(words) & (_WITH | _WITHOUT | {"payable", "due", "sales", "supplies"})


_SUMS = frozenset({Role.TOTAL, Role.NET, Role.SUBTOTAL})


@dataclass(frozen=True, slots=True)
class Judged:
    """An amount and the strength of its evidence (0 to 1): its label, the sums that come out, and its lead."""

    amount: Amount
    strength: float


def find_total(bill: Bill) -> Judged | None:
    """The amount to be paid: the one with the strongest evidence from label and sums, the last of equals."""
    candidates = [amount for amount in bill.amounts if amount.role in {Role.TOTAL, Role.NET}]
    scored: dict[Decimal, tuple[float, int]] = {}
    for order, amount in enumerate(candidates):
        score = amount.weight + proof(bill, amount) + 0.02 * order
        if amount.value > 0 and score >= scored.get(amount.value, (0.0, 0))[0]:
            scored[amount.value] = score, order
    if not scored:
        return _paid_total(bill)
    ranked = sorted(scored.values(), reverse=True)
    best = candidates[ranked[0][1]]
    margin = ranked[0][0] - (ranked[1][0] if len(ranked) > 1 else 0.0)
    strength = min(1.0, 0.3 * best.weight + 0.25 * proof(bill, best) + 0.3 * min(1.0, margin))
    return Judged(best, strength if bill.is_bill else 0.4 * strength)


def _paid_total(bill: Bill) -> Judged | None:
    """The total where its label was unreadable: the payment less the change, with or without a line of its own."""
    paid, changes = bill.of(Role.PAID), bill.of(Role.CHANGE)
    if not paid or not changes or (value := paid[0].value - changes[-1].value) <= 0:
        return None
    alone = next((line for amount, line in reversed(bill.others) if amount == value), None)
    used = (*paid[0].lines, *changes[-1].lines) if alone is None else (alone,)
    return Judged(Amount(value, Role.TOTAL, 0.0, used), 0.45 if alone is None else 0.6)


def find_paid(bill: Bill) -> Amount | None:
    """The amount handed over: the one that leaves the total when the change is subtracted, else the first payment."""
    paid, total = bill.of(Role.PAID), find_total(bill)
    change = {amount.value for amount in bill.of(Role.CHANGE)} - {Decimal(0)}
    if total is None or not paid:
        return paid[0] if paid else None
    return next((amount for amount in paid if amount.value - total.amount.value in change), paid[0])


def proof(bill: Bill, total: Amount) -> float:
    """How strongly the other amounts confirm `total`; 0 when none does."""
    value = total.value
    of = {role: list({amount.value for amount in bill.of(role)})[:12] for role in Role}
    above = list(
        {
            amount.value
            for amount in bill.amounts
            if amount.role in _SUMS and amount.lines[0] < total.lines[0] and amount.value != value
        }
    )[-12:]
    speaks = 0.0
    if any(paid - change == value for paid, change in product(of[Role.PAID], of[Role.CHANGE]) if change):
        speaks += 1.5
    elif value in of[Role.PAID]:
        speaks += 1.0
    if any(
        other + cents == value or other - cents == value for other, cents in product(above, of[Role.ROUNDING]) if cents
    ):
        speaks += 1.0
    added = [*of[Role.TAX], *of[Role.SERVICE]][:8]
    if any(net + sum(some) == value for net in above for some in _sums(added)):
        speaks += 0.5
    if any(sum(pair) == value for pair in combinations(above, 2)):
        speaks += 0.7
    if bill.others and sum(other for other, _ in bill.others) == value:
        speaks += 0.7
    repeated = sum(amount.value == value for amount in bill.amounts if amount.role in _SUMS)
    return speaks + 0.25 * min(2, repeated - 1)


def _sums(amounts: Sequence[Decimal]) -> Iterator[tuple[Decimal, ...]]:
    """Single amounts and pairs of them: a tax, a tax with a service charge, two taxes."""
    yield from ((amount,) for amount in amounts if amount)
    yield from combinations(amounts, 2)
