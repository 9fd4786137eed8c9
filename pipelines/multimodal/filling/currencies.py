"""Finds the currency of a document's amounts, by the signs and codes beside them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_SIGNS = {
    "RM": "MYR", "S$": "SGD", "A$": "AUD", "C$": "CAD", "HK$": "HKD", "NZ$": "NZD", "US$": "USD", "R$": "BRL",
    "NT$": "TWD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "円": "JPY", "元": "CNY", "₹": "INR", "Rs": "INR",
    "Rp": "IDR", "฿": "THB", "₩": "KRW", "₫": "VND", "₱": "PHP", "zł": "PLN", "Kč": "CZK", "Ft": "HUF", "₺": "TRY",
    "₽": "RUB", "DH": "MAD", "ringgit": "MYR", "euro": "EUR", "euros": "EUR",
}  # fmt: skip
_CODES = frozenset(
    re.findall(
        r"...",
        "USDEURGBPCHFPLNMYRSGDAUDCADHKDNZDBRLJPYINRIDRTHBKRWVNDPHPCZKHUFTRYTWDCNYDKKSEKNOKZARAEDSARMXNILSRONBGNMAD",
    )
)
_SIGN = "|".join(re.escape(sign) for sign in sorted([*_SIGNS, *_CODES], key=len, reverse=True))
# Beside an amount, in the brackets of a column's head, or by itself in a cell.
_BESIDE = re.compile(
    rf"(?<![^\W\d_])({_SIGN})\.?[-: |]{{0,3}}[\dO][\d.,]|[\d.,]\d ?({_SIGN})(?!\w)|\(({_SIGN})\)"
    rf"|(?:^|\| )({_SIGN})(?= \||$)"
    r"|\b(ringgit|euros?)\b",
    re.IGNORECASE,
)
_BY_SPELLING = {spelling.lower(): code for spelling, code in [*_SIGNS.items(), *((code, code) for code in _CODES)]}


def find_currency(lines: Sequence[Mapping[str, Any]]) -> tuple[str, int, float] | None:
    """The ISO code of the currency named most often, the first line that names it, and its share of all mentions."""
    seen: Counter[str] = Counter()
    first: dict[str, int] = {}
    for index, line in enumerate(lines):
        for match in _BESIDE.finditer(str(line["text"])[:400]):
            code = _BY_SPELLING[match[match.lastindex or 0].lower()]
            seen[code] += 1
            first.setdefault(code, index)
    if not seen:
        return None
    code, count = seen.most_common(1)[0]
    return code, first[code], count / seen.total()
