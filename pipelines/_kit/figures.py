"""The figures in a text, in one spelling, so that a claim can be compared with its source."""

import re
from collections.abc import Iterable

_FIGURE = re.compile(r"\d+(?:[.,:]\d+)*")
# Without "one" by itself, which more often is a pronoun.
_UNITS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_WORDS = {word: number for number, word in enumerate(f"{_UNITS} eighteen nineteen".split(), start=1)}
_TENS = {
    word: 10 * tens
    for tens, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}
_NUMBER_WORD = re.compile(
    rf"\b(?:({'|'.join(_TENS)})(?:[- ]({'|'.join(list(_WORDS)[:9])}))?|({'|'.join(list(_WORDS)[1:])}))\b", re.IGNORECASE
)
_MONTH = re.compile(
    r"\b(jan)(?:uary)?\b|\b(feb)(?:ruary)?\b|\b(mar)(?:ch)?\b|\b(apr)(?:il)?\b|\b(may)\b|\b(jun)e?\b|\b(jul)y?\b|"
    r"\b(aug)(?:ust)?\b|\b(sep)t?(?:ember)?\b|\b(oct)(?:ober)?\b|\b(nov)(?:ember)?\b|\b(dec)(?:ember)?\b",
    re.IGNORECASE,
)


def missing_figures(text: str, held: Iterable[str]) -> list[str]:
    """The figures of `text` that occur in none of `held`, each once, as `text` writes them.

    The name of a month in a source counts as its number, since a claim may write the date in another form.
    """
    known = {_plain(figure) for source in held for figure in _figures(_MONTH.sub(_number_of_month, source))}
    return list(dict.fromkeys(figure for figure in _figures(text) if _plain(figure) not in known))


def _figures(text: str) -> list[str]:
    return _FIGURE.findall(_NUMBER_WORD.sub(_in_digits, text))


def _in_digits(match: re.Match[str]) -> str:
    tens, unit, alone = (found and found.casefold() for found in match.groups())
    return str(_WORDS[alone] if alone else _TENS[tens or ""] + (_WORDS[unit] if unit else 0))


def _number_of_month(match: re.Match[str]) -> str:
    return f"{match.group()} {match.lastindex}"


def _plain(figure: str) -> str:
    """One spelling for 1,000 and 1000, for 3.00 and 3, and for 09:00 and 9:00."""
    digits = re.sub(r",(?=\d{3}(?:\D|$))", "", re.sub(r"^0(?=\d)", "", figure))
    if re.fullmatch(r"\d+[.,]\d+", digits):
        digits = digits.replace(",", ".").rstrip("0").rstrip(".")
    return digits
