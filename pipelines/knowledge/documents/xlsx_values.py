"""Values of cells as they are shown: dates by their number format, numbers without the noise of binary fractions."""

import re
from datetime import datetime, timedelta
from typing import Any

_LETTERS = re.compile(r"\$?([A-Za-z]{1,3})")
# ECMA-376, part 1, 18.8.30: the built-in formats of dates and times, also of the languages of East Asia.
_BUILT_IN_DATES = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
_BUILT_IN_PERCENT = {9: 0, 10: 2}
_TIMES_ONLY = frozenset({18, 19, 20, 21, 45, 46, 47})
_LITERALS = re.compile(r'"[^"]*(?:"|\Z)|\[[^\]]*(?:\]|\Z)|\\.|_.|\*.')
_DIGITS_MAX = 10
_LAST_DAY = 2958465


class Styles:
    """Which number format a cell's style has."""

    def __init__(self, root: Any, *, is_1904: bool) -> None:
        self._is_1904 = is_1904
        self._formats: list[NumberFormat] = []
        if root is None:
            return
        codes = {each.get("numFmtId", ""): each.get("formatCode", "") for each in root.iter("numFmt")}
        cells = root.find("cellXfs")
        for style in cells if cells is not None else ():
            identifier = style.get("numFmtId", "0")
            self._formats.append(NumberFormat(identifier, codes.get(identifier, ""), is_1904=is_1904))

    def format_of(self, style: str | None) -> "NumberFormat":
        """The format behind a cell's style number."""
        number = whole(style, 0)
        known = self._formats[number : number + 1]
        return known[0] if known else NumberFormat("0", "", is_1904=self._is_1904)


class NumberFormat:
    """How a number format shows a number: as a date, a time, a percentage or itself."""

    def __init__(self, identifier: str, code: str, *, is_1904: bool) -> None:
        number = whole(identifier, 0)
        plain = _LITERALS.sub("", code.partition(";")[0]).lower()
        has_day = any(letter in plain for letter in "yd") or ("m" in plain and not any(each in plain for each in "hs"))
        self.is_date = number in _BUILT_IN_DATES - _TIMES_ONLY if not code else has_day and "general" not in plain
        self.is_time = number in _TIMES_ONLY if not code else any(each in plain for each in "hs") and not has_day
        self.is_time = self.is_time and "general" not in plain
        self.decimals = _BUILT_IN_PERCENT.get(number) if not code else None
        if "%" in plain:
            self.decimals = len(plain.partition(".")[2].rstrip("%").strip()) if "." in plain else 0
        self.is_1904 = is_1904


def shown_number(value: str, number_format: NumberFormat) -> str:
    """A number as its cell shows it."""
    try:
        number = float(value)
    except ValueError:
        return value
    if number_format.is_date and 0 <= number <= _LAST_DAY:
        return _date(number, is_1904=number_format.is_1904)
    if number_format.is_time and number >= 0:
        minutes, seconds = divmod(round(number * 86400), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours:02}:{minutes:02}" + (f":{seconds:02}" if seconds else "")
    if number_format.decimals is not None:
        return f"{100 * number:.{min(number_format.decimals, 10)}f}%"
    if number.is_integer() and abs(number) < 1e15:  # noqa: PLR2004 - the digits that a binary fraction holds
        return str(int(number))
    return f"{number:.15g}"


def _date(number: float, *, is_1904: bool) -> str:
    # Dates of a sheet have no time zone. Excel counts a 29 February 1900, which never existed.
    start = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30 if number >= 60 else 31)  # noqa: DTZ001, PLR2004
    try:
        moment = start + timedelta(seconds=round(number * 86400))
    except OverflowError:
        return f"{number:.15g}"
    has_time = moment.hour or moment.minute or moment.second
    return moment.strftime("%Y-%m-%d %H:%M") if has_time else moment.strftime("%Y-%m-%d")


def is_set(element: Any, name: str) -> bool:
    """Whether an attribute is true, in either of XML Schema's two spellings."""
    return element.get(name) in {"1", "true"}


def whole(text: str | None, default: int) -> int:
    """A whole number of a part, or `default` for anything else; no sheet counts beyond ten digits."""
    return int(text) if text and len(text) <= _DIGITS_MAX and text.isascii() and text.isdecimal() else default


def column_of(reference: str) -> int:
    """The number of the column in a reference, from 1; 0 when there is none."""
    letters = _LETTERS.match(reference)
    number = 0
    for letter in letters.group(1).upper() if letters else "":
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def phonetic_free_text(element: Any) -> str:
    """The text of a string's runs, without the phonetic readings above Japanese."""
    return "".join(run.text or "" for run in element.iter("t", "text") if run.getparent().tag != "rPh")
