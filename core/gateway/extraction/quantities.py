"""Numbers with their units, as a text writes them, and the ranges that rows and sentences give for them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}
_ORDINALS = {
    word: str(number)
    for number, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
        ],
        start=1,
    )
}
_CURRENCIES = {"eur": "eur", "euro": "eur", "euros": "eur", "\u20ac": "eur", "usd": "usd", "$": "usd", "dollars": "usd"}
_CURRENCIES |= {"dollar": "usd", "gbp": "gbp", "\u00a3": "gbp", "pounds": "gbp", "chf": "chf", "nok": "nok"}
_UNITS = {"kilogram": "kg", "kilograms": "kg", "kilos": "kg", "kg": "kg", "km": "km", "kilometre": "km"}
_UNITS |= {"kilometres": "km", "kilometers": "km", "kilometer": "km", "cm": "cm", "centimetres": "cm", "m": "m"}
_UNITS |= {"metres": "m", "meters": "m", "metre": "m", "mm": "mm", "hour": "hour", "hours": "hour", "day": "day"}
_UNITS |= {"days": "day", "month": "month", "months": "month", "year": "year", "years": "year", "item": "item"}
_UNITS |= {"items": "item", "%": "%", "percent": "%", "litres": "l", "l": "l", "wh": "wh"}
_DIGITS = r"\d[\d,]{0,15}(?:\.\d{1,6})?"
# "One of them" and "zero tolerance" count nothing.
_WORDED = "|".join(word for word in _NUMBER_WORDS if word not in ("zero", "one"))
_QUANTITY = re.compile(
    r"(?:(?P<currency>EUR|USD|GBP|CHF|NOK|[\u20ac$\u00a3])\s?)?"
    rf"(?<![\w.])(?P<number>{_DIGITS}|(?:{_WORDED})\b)"
    r"(?:\s?(?:(?:full|working|calendar|business)\s)?(?P<unit>[^\W\d_]{1,12}|%))?",
    re.IGNORECASE,
)
_UP_TO = re.compile(r"\b(?:up to|at most|below|under|within|to)\s*$", re.IGNORECASE)
_ABOVE = re.compile(r"\b(?:above|over|more than|from)\s*$", re.IGNORECASE)
_NTH = re.compile(rf"\b({'|'.join(_ORDINALS)})\s*$", re.IGNORECASE)
_BETWEEN = re.compile(r"^\s{0,2}(?:to|and|\u2013|-)\s{0,2}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, what it counts ("" when unstated), and its position in the text."""

    value: float
    unit: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` (included when `closed`) up to and including `high`, in `unit`."""

    low: float
    high: float
    unit: str
    closed: bool = False

    def holds(self, quantity: Quantity) -> bool:
        """Whether `quantity` lies in the range and counts the same thing."""
        return self.unit == quantity.unit and (
            self.low < quantity.value <= self.high or (self.closed and quantity.value == self.low)
        )


def canonical_number(word: str) -> str:
    """A number word or ordinal as digits, anything else unchanged. `word` is in lower case."""
    return _NUMBER_WORDS.get(word) or _ORDINALS.get(word) or word.replace(",", "") if word else word


def is_ordinal(word: str) -> bool:
    """Whether a word in lower case is an ordinal from first to twelfth."""
    return word in _ORDINALS


def quantities(text: str) -> list[Quantity]:
    """The quantities of `text` in order."""
    found = []
    for match in _QUANTITY.finditer(text):
        currency, unit = match["currency"], (match["unit"] or "").lower()
        name = _CURRENCIES[currency.lower()] if currency else _CURRENCIES.get(unit) or _UNITS.get(unit, "")
        start, end = match.span("number")
        number = canonical_number(match["number"].lower()).rstrip(".")
        found.append(Quantity(float(number or 0), name, start, end))
    return found


def ranges(text: str) -> list[Range]:
    """The ranges in `text`. "Up to" starts at zero, and "the second 12 months" where the first end."""
    numbers = quantities(text)
    found: list[Range] = []
    skip: set[int] = set()
    for index, number in enumerate(numbers):
        if index in skip:
            continue
        after = numbers[index + 1] if index + 1 < len(numbers) else None
        if after is not None and _BETWEEN.match(_gap(text, number, after)):
            skip.add(index + 1)
            found.append(Range(number.value, after.value, after.unit or number.unit, closed=True))
        elif (nth := _NTH.search(_before(text, number))) is not None:
            place = int(_ORDINALS[nth[1].lower()])
            found.append(Range((place - 1) * number.value, place * number.value, number.unit))
        elif _UP_TO.search(_before(text, number)):
            found.append(Range(0.0, number.value, number.unit))
        elif _ABOVE.search(_before(text, number)):
            found.append(Range(number.value, float("inf"), number.unit))
    return found


def row_range(keys: Sequence[str], index: int) -> Range | None:
    """The range that the key of row `index` stands for, given the rows before it."""
    here = ranges(keys[index])
    if len(here) != 1:
        return None
    if here[0].closed or here[0].low > 0 or index == 0:
        return here[0]
    before = [found.high for key in keys[:index] for found in ranges(key) if found.unit == here[0].unit]
    low = max((high for high in before if high < here[0].high), default=0.0)
    return Range(low, here[0].high, here[0].unit)


def _before(text: str, number: Quantity) -> str:
    """The text before a number, without its currency."""
    return re.sub(r"(?:EUR|USD|GBP|CHF|NOK|[\u20ac$\u00a3])\s?$", "", text[max(number.start - 24, 0) : number.start])


def _gap(text: str, one: Quantity, other: Quantity) -> str:
    gap = text[one.end : other.start]
    gap = re.sub(r"(?:EUR|USD|GBP|CHF|NOK|[\u20ac$\u00a3])\s?$", "", gap)
    return re.sub(r"^\s?(?:kg|km|cm|mm|m|hours?|days?|months?|%)(?=\W)", "", gap)
