"""Dates as bills print them: which of several is the bill's own, and whether its day or its month comes first."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipelines.multimodal.filling.words import expression, months

_MONTHS = months()
_MARK = r"[-/.\u2013]"
# Tills print the time right after the date, and readers omit the space: a year of four digits may run into it.
_END = r"(?=\d\d:\d\d|T\d\d|\D|$)"
_ISO = re.compile(rf"(?<!\d)((?:19|20)\d\d) ?{_MARK} ?(\d{{1,2}}) ?{_MARK} ?(\d\d|\d(?!\d)){_END}")
_NUMERIC = re.compile(rf"(?<![\d.])(\d{{1,2}}) ?({_MARK}) ?(\d{{1,2}}) ?\2 ?((?:19|20)\d\d|\d\d){_END}")
_DAY_FIRST = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?[-. /]{0,2}([^\W\d_]{3,9})[-. /,']{0,3}((?:19|20)\d\d|\d\d)" + _END
)
_MONTH_FIRST = re.compile(
    r"(?<![^\W\d_])([^\W\d_]{3,9})[. -]{0,2}(\d{1,2})(?:st|nd|rd|th)?,? {0,2}((?:19|20)\d\d)" + _END
)
_EAST_ASIAN = re.compile(r"((?:19|20)\d\d) ?年 ?(\d{1,2}) ?月 ?(\d{1,2}) ?日")
_COMPACT = re.compile(r"(?<!\d)(20[0-4]\d)(0[1-9]|1[0-2])([0-2]\d|3[01])(?!\d)")
_TIME = re.compile(r"\d{1,2}:\d\d")
_UNITED_STATES = re.compile(
    r"\b(?:A[LKZR]|C[AOT]|DE|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]|W[AVIY]|DC),?"
    r" \d{5}\b|(?i:\bsales tax\b|\bUSD\b)"
)
_OWN = re.compile(expression("dates", "own") + r"|[a-z](?:date|datum)\b", re.IGNORECASE)
_OTHERS = re.compile(expression("dates", "other", beginnings=True), re.IGNORECASE)
_ISSUED = re.compile(r"\b(?:invoice|issue|receipt|bill) date\b|\bdate of issue\b", re.IGNORECASE)
_SHORT = 30
_YEARS = range(1985, 2100)
_CENTURY = 2000
_MONTH_MAX = 12


@dataclass(frozen=True, slots=True)
class Dated:
    """A date that was read, and whether it could be read in one way only."""

    value: date
    is_certain: bool


def read_dates(text: str, *, month_first: bool = False) -> list[Dated]:
    """Every date in `text`, in the order of the forms above. Of 3/4/2025 the day is read first unless `month_first`."""
    found: list[Dated] = []
    for match in [*_ISO.finditer(text), *_EAST_ASIAN.finditer(text), *_COMPACT.finditer(text)]:
        _add(found, match[1], int(match[2]), match[3])
    for match in _DAY_FIRST.finditer(text):
        _add(found, match[3], _month(match[2]), match[1])
    for match in _MONTH_FIRST.finditer(text):
        _add(found, match[3], _month(match[1]), match[2])
    for match in _NUMERIC.finditer(text):
        first, second = int(match[1]), int(match[3])
        is_certain = first > _MONTH_MAX or second > _MONTH_MAX or first == second
        turned = second > _MONTH_MAX or (month_first and first <= _MONTH_MAX)
        _add(found, match[4], *((first, match[3]) if turned else (second, match[1])), is_certain=is_certain)
    return found


def _add(found: list[Dated], year: str, month: int, day: str, *, is_certain: bool = True) -> None:
    number = int(year) + (_CENTURY if len(year) == 2 else 0)  # noqa: PLR2004
    try:
        read = date(number, month, int(day))
    except ValueError:
        return
    if number in _YEARS:
        found.append(Dated(read, is_certain))


def _month(name: str) -> int:
    lowered = name.lower()
    return next((_MONTHS[lowered[:size]] for size in (4, 3) if lowered[:size] in _MONTHS), 0)


def _has_day_first(lines: Sequence[Mapping[str, Any]]) -> bool:
    return any(int(match[1]) > _MONTH_MAX for line in lines for match in _NUMERIC.finditer(str(line["text"])[:400]))


def is_month_first(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether this document writes the month before the day: by its other dates, else by the country it shows."""
    text = "\n".join(str(line["text"])[:400] for line in lines)
    pairs = [(int(match[1]), int(match[3])) for match in _NUMERIC.finditer(text)]
    if any(first > _MONTH_MAX for first, _ in pairs):
        return False
    if any(second > _MONTH_MAX for _, second in pairs):
        return True
    return _UNITED_STATES.search(text) is not None


@dataclass(frozen=True, slots=True)
class OwnDate:
    """The date of a document in ISO form, its line, and the strength of its evidence (0 to 1)."""

    value: str
    lines: tuple[int, ...]
    strength: float


def find_date(lines: Sequence[Mapping[str, Any]]) -> OwnDate | None:
    """The date at which the document was issued; None without a candidate."""
    month_first = is_month_first(lines)
    found: list[tuple[float, Dated, int]] = []
    for index, line in enumerate(lines):
        text = str(line["text"])[:400]
        before = str(lines[index - 1]["text"])[-40:] if index else ""
        strength = _strength(text, before)
        found.extend((strength, dated, index) for dated in read_dates(text, month_first=month_first))
    if not found:
        return None
    best, dated, index = max(found, key=lambda each: (each[0], -each[2]))
    rivals = {other.value for strength, other, _ in found if strength == best} - {dated.value}
    doubt = 0.1 * bool(rivals) + 0.1 * (not dated.is_certain and not month_first and not _has_day_first(lines))
    return OwnDate(dated.value.isoformat(), (index,), best - doubt)


def _strength(text: str, before: str) -> float:
    """How plainly a line identifies its date as the document's own."""
    if _OTHERS.search(text) and not _ISSUED.search(text):
        return 0.15
    if _OWN.search(text):
        return 1.0
    if _OTHERS.search(before) and len(text) < _SHORT:
        return 0.2
    if _OWN.search(before) and len(text) < _SHORT:
        return 0.95
    return 0.85 if _TIME.search(text) else 0.65
