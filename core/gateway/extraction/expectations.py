"""What kind of thing a question asks for, and whether a sentence holds one.

After the answer types of Li and Roth (COLING 2002), kept to those that can be told by their form: amounts, times,
telephone numbers, addresses and names of companies.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER_WORDS = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|fifty|hundred|thousand|million|"
    r"half|third|quarter|twice|once|double|free|no|none|nobody|never|all|every"
)
_AMOUNT = re.compile(rf"\d|\b(?:{_NUMBER_WORDS})\b", re.IGNORECASE)
_TIME = re.compile(
    r"\d|\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|june|july|august|september|"
    r"october|november|december|daily|weekly|monthly|yearly|midnight|noon|always|never|at once|before|after|"
    rf"{_NUMBER_WORDS})\b",
    re.IGNORECASE,
)
_TELEPHONE = re.compile(r"\+?\d[\d\s()/-]{5,}\d|\bextension \d+")
_ADDRESS = re.compile(r"\w@\w|https?://|www\.|\w\.(?:com|org|net|eu|io|example)\b")
_NAME = re.compile(r"(?<=[\w,;:] )[^\W\d_a-z]\w+")


@dataclass(frozen=True, slots=True)
class Expectation:
    """Questions that match `question` are answered by sentences that match `answer`."""

    question: re.Pattern[str]
    answer: re.Pattern[str]


def _expect(question: str, answer: re.Pattern[str]) -> Expectation:
    return Expectation(re.compile(question, re.IGNORECASE), answer)


# The first that matches holds.
_EXPECTATIONS = (
    _expect(r"\b(?:tele)?phone number\b|\bnumber (?:can|do|should|must) I (?:call|dial)\b", _TELEPHONE),
    _expect(r"\be-?mail address\b|\bweb ?(?:site|page)\b|\burl\b", _ADDRESS),
    _expect(r"\b(?:which|what) (?:\w+ )?(?:company|firm|bank|brand|supplier|manufacturer)\b", _NAME),
    _expect(
        r"\bhow (?:many|much|long|often|far|old|large|big|small|heavy|high|thick|wide|deep|fast|tall)\b|"
        r"\b(?:price|costs?|fee|salary|wage|rate|share|percentage|earns?|charge|limit|minimum|maximum) "
        r"(?:of|for|is|do|does|per|when|if|in|may|can)\b|"
        r"\bwhat does .{0,200}\b(?:cost|earn|pay|weigh)\b|\bwhat (?:percentage|share|rate|size)\b",
        _AMOUNT,
    ),
    _expect(
        r"\bwhen\b(?! I\b| we\b| you\b| the\b| a\b| an\b| my\b)|^when\b|\bwhat (?:time|date|day|year|hours)\b|"
        r"\bhow (?:soon|quickly|late|early)\b|\bdeadline\b|\b(?:until|since|from) (?:when|what|which)\b",
        _TIME,
    ),
)
_MENTION = re.compile(r"[^\W_]+(?:[.,'\u2019-][^\W_]+)*")


def expectation_of(question: str) -> Expectation | None:
    """What `question` asks for, when that can be told by its form."""
    return next((found for found in _EXPECTATIONS if found.question.search(question)), None)


def names_in(question: str) -> Sequence[str]:
    """The names and numbers of a question: what an answer can hardly leave unsaid. Its first word is none."""
    words = [match.group() for match in _MENTION.finditer(question)]
    return [word for word in words[1:] if (word[0].isupper() and word != "I") or word[0].isdigit()]
