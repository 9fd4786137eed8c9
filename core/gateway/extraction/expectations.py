"""What kind of thing a question asks for, and whether a text contains one that the question did not name itself.

After the answer types of Li and Roth (COLING 2002), limited to those that can be recognized by their form.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.gateway.extraction.terms import term_of, terms_of


class Kind(StrEnum):
    """The kinds of answer. `OTHER` is everything without a form of its own."""

    DURATION = "duration"
    MONEY = "money"
    PERCENT = "percent"
    COUNT = "count"
    MEASURE = "measure"
    AMOUNT = "amount"
    CLOCK = "clock"
    TIME = "time"
    PERSON = "person"
    PLACE = "place"
    NAME = "name"
    TELEPHONE = "telephone"
    ADDRESS = "address"
    REASON = "reason"
    CHOICE = "choice"
    MANNER = "manner"
    OTHER = "other"


_NUMBER_WORDS = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|eighteen|twenty|"
    r"thirty|forty|fifty|sixty|hundreds?|thousands?|millions?|billions?|dozens?"
)
_NUMBER = rf"(?:\d[\d,.]{{0,15}}|\b(?:{_NUMBER_WORDS})\b)"
_TIME_UNIT = r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|decades?|centur(?:y|ies)|quarters?)"
_BETWEEN = r"(?:[\s-]{1,2}(?:full |working |calendar |business |consecutive )?)"
_MONTHS = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_DAYS = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?"

_DURATION = re.compile(
    rf"{_NUMBER}{_BETWEEN}{_TIME_UNIT}|\bat once\b|\bimmediately\b|\b(?:half an?|an?) {_TIME_UNIT}\b(?! ago)|"
    rf"\bsame {_TIME_UNIT}\b|\bnext {_TIME_UNIT}\b|\b(?:daily|weekly|monthly|yearly|annually)\b|"
    rf"\b(?:every|each|per|twice an?|once an?) (?:\w+ )?{_TIME_UNIT}\b|\d{{1,2}}:\d\d|\bby \d",
    re.IGNORECASE,
)
_CURRENCY = r"(?:EUR|USD|GBP|CHF|NOK|[\u20ac$\u00a3\u00a5])"
_MONEY = re.compile(
    rf"{_CURRENCY}\s?\d|\d\s?(?:{_CURRENCY}|euros?|dollars?|pounds?|cents?|francs?|marks|million|billion)\b|"
    r"(?<![\d.])\d{1,6}\.\d\d(?![\d.])|\bfree\b|\d\s?%|\bno (?:extra )?charge\b|\bper ?cent\b",
    re.IGNORECASE,
)
_PERCENT = re.compile(
    rf"\d\s?%|\bper ?cent\b|\b(?:half|halved|quarter|thirds?|tenth|fifth)\b|\b{_NUMBER} (?:in|of|out of) {_NUMBER}",
    re.IGNORECASE,
)
_COUNT = re.compile(rf"{_NUMBER}|\b(?:none|no|both|once|twice|single|several|half)\b", re.IGNORECASE)
_MEASURE = re.compile(rf"{_NUMBER}\s?-?(?:[^\W\d_]{{1,12}}|%|\u00b0)", re.IGNORECASE)
_AMOUNT = re.compile(rf"{_NUMBER}|\b(?:free|none|nothing|half|halved|double|twice)\b", re.IGNORECASE)
_CLOCK = re.compile(r"\d{1,2}[:.]\d\d|\d\s?(?:[ap]\.?m\b|o'clock)|\b(?:noon|midnight)\b", re.IGNORECASE)
_TIME = re.compile(
    rf"\b{_MONTHS}\b|\b{_DAYS}\b|\b1\d{{3}}s?\b|\b20\d\ds?\b|\d{{1,2}}:\d\d|\b(?:midnight|noon|christmas|easter|today|daily|always|never)\b|"
    rf"{_NUMBER}{_BETWEEN}{_TIME_UNIT}|\b(?:before|after|until|during|since|when|once|by)\b|\bcentur|\b\d{{1,2}}(?:st|nd|rd|th)\b|\b\d0s\b|"
    rf"\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last) (?:{_DAYS}|day|week|month|year)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)(?<![\"'\u201c(])\b[A-Z][\w'\u2019-]+|\b[A-Z]{2,}\b")
# "Off Anglesey" and "on Tuesday" name no person.
_NAMES_NO_ONE = re.compile(
    rf"\b(?:in|at|off|near|around|across) (?:the )?[A-Z][\w'\u2019-]+|\b(?i:{_DAYS}|{_MONTHS})\b"
)
_ROLE = re.compile(
    r"\b(?:managers?|leads?|leaders?|agents?|committees?|board|council|senders?|recipients?|customers?|partners?|drivers?|"
    r"officers?|directors?|heads?|team|desk|office|department|president|king|queen|minister|emperor|teachers?|"
    r"employees?|staff|members?|persons?|people|counsel|engineers?|authorit(?:y|ies)|police|party|company|owner|shop|everyone|nobody|anyone)\b",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\b\d+ (?:metres|meters|km|kilometres)\b|"
    r"\b(?:in|at|on|from|to|near|beside|behind|under|inside|outside|between|into|over|along|of)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|since|as|due|owing|caused?|causes|reasons?|therefore|thus|so|order|to|for|by|after|otherwise|led|"
    r"results?|resulted|made|fear\w*|want\w*|wish\w*)\b",
    re.IGNORECASE,
)
_TELEPHONE = re.compile(r"\+?\d[\d\s()/-]{5,20}\d|\bextension \d+", re.IGNORECASE)
_ADDRESS = re.compile(r"\w@\w|https?://|www\.|\w\.(?:com|org|net|eu|io|example)\b")
_FIGURE = re.compile(r"\d[\d.,]{0,15}")
_LENGTH = re.compile(
    rf"{_NUMBER}\s?(?:characters?|digits|pages?|words?|lines?|m|cm|mm|km|metres?|meters?|miles?|feet|inches)\b",
    re.IGNORECASE,
)

_ANSWERS = {
    Kind.DURATION: _DURATION,
    Kind.MONEY: _MONEY,
    Kind.PERCENT: _PERCENT,
    Kind.COUNT: _COUNT,
    Kind.MEASURE: _MEASURE,
    Kind.AMOUNT: _AMOUNT,
    Kind.CLOCK: _CLOCK,
    Kind.TIME: _TIME,
    Kind.TELEPHONE: _TELEPHONE,
    Kind.REASON: _REASON,
    Kind.ADDRESS: _ADDRESS,
}

_COUNTED_FROM = re.compile(r"\b(?:after|before|following|from|since|of)\b", re.IGNORECASE)
_TAIL = re.compile(r"(?<=[a-z%\d]) (?:after|before|following) [^,.;:()]{1,200}", re.IGNORECASE)
# Each line is a kind and the pattern of the questions that ask for it. The first match wins.
_QUESTIONS = tuple(
    (re.compile(pattern, re.IGNORECASE), Kind(kind))
    for kind, _, pattern in (
        line.partition(" ")
        for line in Path(__file__).with_name("questions.txt").read_text(encoding="utf-8").splitlines()
    )
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a question asks for."""

    kind: Kind
    question: str

    def fits(self, text: str) -> bool | None:
        """Whether `text` holds such a thing besides those that the question names; None when the kind has no form."""
        if self.places(text):
            return True
        if self.kind is Kind.DURATION:
            # "How many days may I take?" "Up to five may be taken."
            return None if _HOW_MANY.search(self.question) and _COUNT.search(text) else False
        if self.kind is Kind.NAME and _CALLED.search(self.question):
            return None
        return False if self.kind in (*_ANSWERS, Kind.PERSON, Kind.NAME, Kind.PLACE) else None

    def places(self, text: str) -> list[int]:
        """Where in `text` such things are that the question does not name; empty when the kind has no form."""
        if self.kind in _ANSWERS:
            found = _others(_ANSWERS[self.kind], text, self.question)
            if not found and self.kind is Kind.DURATION and _HOW_LONG.search(self.question):
                found = _others(_LENGTH, text, self.question)
            return found
        if self.kind in (Kind.PERSON, Kind.NAME):
            named = self._names_in(_NAMES_NO_ONE.sub(_blanked, text))
            is_role = self.kind is Kind.PERSON and not _WHO_IS.search(self.question)
            return named + _others(_ROLE, text, self.question) if is_role else named
        if self.kind is Kind.PLACE:
            return self._names_in(text) or [match.start() for match in _PLACE.finditer(text)]
        return []

    def is_asked_by(self, head: str) -> bool:
        """Whether a column is headed by the question word, such as "Who" or "Where"."""
        return bool(_ASKING.fullmatch(head)) and head.casefold() in _WORD.findall(self.question.casefold())

    def fits_cell(self, cell: str, head: str, label: str) -> bool | None:
        """As `fits`, for a cell under its head: "45" under "Minutes" is a time, and any figure may be an amount.

        A column may be headed by the question it answers, such as "Who", and the row's label may be the answer sought.
        """
        fits = self.fits(cell)
        if fits is not False:
            return fits
        if self.is_asked_by(head):
            return None
        if _FIGURE.fullmatch(cell) and (self._is_sum(head) or self.fits(f"{cell} {head}")):
            return True
        if self.kind in (Kind.PERSON, Kind.PLACE, Kind.NAME) and terms_of(head) & terms_of(self.question):
            return None
        return self.kind in (Kind.TIME, Kind.PERSON, Kind.PLACE, Kind.NAME) and self.fits(label)

    def implied(self, text: str) -> frozenset[str]:
        """Terms that `text` covers without stating them: "closes" covers filing, and kilograms cover weight."""
        if self.kind in (Kind.DURATION, Kind.TIME):
            return _FILING if _DEADLINE.search(text) else frozenset()
        if self.kind is Kind.MEASURE:
            return frozenset(term_of(word) for unit, words in _DIMENSIONS if unit.search(text) for word in words)
        return frozenset()

    def asserted(self, text: str) -> str:
        """`text` without the starting points of its periods; all of it when the question itself has "after" or similar.

        "Kept for 14 days after the claim was filed" says how long something is kept, and nothing about how long a
        claim may be filed.
        """
        if self.kind not in (Kind.DURATION, Kind.TIME) or _COUNTED_FROM.search(self.question):
            return text
        return _TAIL.sub(" ", text)

    def _is_sum(self, head: str) -> bool:
        """Whether a bare figure under `head` can be an amount of money."""
        return self.kind is Kind.MONEY and _NO_SUM.search(head) is None

    def _names_in(self, text: str) -> list[int]:
        asked = set(_WORD.findall(self.question.casefold()))
        return [match.start() for match in _NAME.finditer(text) if match.group().casefold() not in asked]


_DEADLINE = re.compile(r"\b(?:closes?|deadline|due|latest|within|until|no later)\b", re.IGNORECASE)
_FILING = frozenset(map(term_of, ("file", "report", "lodge", "submit", "register", "raise")))
_WORD = re.compile(r"\w+")
_ASKING = re.compile(r"who|where|when|why|how", re.IGNORECASE)
_HOW_LONG = re.compile(r"\bhow long\b", re.IGNORECASE)
_HOW_MANY = re.compile(r"\bhow many\b", re.IGNORECASE)


# Things that are named by common words.
_CALLED = re.compile(
    r"\bcalled\b|\bnames? (?:of|for) (?:(?:the|a|an) )?(?:\w+ )?(?:process|property|terms?|concept|theory|method|scale|"
    r"law|effect|technique|category|class|system|type|kind|group|form|alphabet|principle|model|function|field|option|setting)\b",
    re.IGNORECASE,
)
_WHO_IS = re.compile(r"^\W*who(?: is|'s|\u2019s| was) (?:the|our|your|my)\b(?! \w+ (?:for|to|of) )", re.IGNORECASE)
_NO_SUM = re.compile(
    r"\b(?:built|born|founded|year|crew|size|length|width|height|depth|weight|age|area|days?|hours?|minutes?|weeks?|"
    r"months|years|number|persons?|people|seats?|beds?|rooms?|kg|km|cm|mm|m|m\u00b2|litres?|pages?)\b",
    re.IGNORECASE,
)
_DIMENSIONS = (
    (re.compile(rf"{_NUMBER}\s?(?:kg|kilos?|kilograms?|grams?|g|tons?|tonnes?)\b", re.IGNORECASE), ("heavy",)),
    (re.compile(rf"{_NUMBER}\s?dB\b", re.IGNORECASE), ("loud", "noise")),
    (re.compile(rf"{_NUMBER}\s?(?:\u00b0|degrees\b)", re.IGNORECASE), ("hot", "cold", "warm", "temperature")),
    (re.compile(rf"{_NUMBER}\s?(?:km/h|mph|knots|m/s)", re.IGNORECASE), ("fast",)),
)


def _blanked(match: re.Match[str]) -> str:
    """As many blanks as the match is long, so that positions stay valid."""
    return " " * len(match.group())


def _others(form: re.Pattern[str], text: str, question: str) -> list[int]:
    """Where `text` matches this form with something that the question does not name itself."""
    asked = question.casefold()
    return [match.start() for match in form.finditer(text) if match.group().casefold() not in asked]


# "When a parcel is lost, what is paid?" does not ask for a time.
_CONDITION = re.compile(
    r"^(?:when|where|if|while|after|before|once)\b[^,?]{1,200}, "
    r"(?=[^?]{0,60}\b(?:what|which|who|whom|when|where|why|how)\b)",
    re.IGNORECASE,
)


def expectation_of(question: str) -> Expectation:
    """What `question` asks for, as far as its form shows."""
    asks = _CONDITION.sub("", question)
    kind = next((kind for pattern, kind in _QUESTIONS if pattern.search(asks)), Kind.OTHER)
    return Expectation(kind, question)
