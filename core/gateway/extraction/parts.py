"""The questions that one sentence asks: "Who decides, and how long may it take?" asks two."""

import re
from collections.abc import Sequence

from core.gateway.extraction.terms import question_terms

_ASKS = (
    r"(?:(?:at|by|for|from|in|on|to|until|within|under|after|before|since|with|of) )?"
    r"(?:what|which|who|whom|whose|when|where|why|how)\b"
)
_HELPS = r"(?:can|could|may|must|is|are|was|were|do|does|did|will|would|should|has|have|had)\b"
# A helping verb starts a question only after the end of another: "it opens and is closed at six" is one clause.
_BORDER = re.compile(
    rf"[?;]\s{{1,3}}(?:and |or |also )?(?={_ASKS}|{_HELPS})|,? (?:and|or)(?: also)? (?={_ASKS})", re.IGNORECASE
)
_OPENS = re.compile(rf"(?:[^?;]{{1,80}}, )?(?:{_ASKS}|{_HELPS})", re.IGNORECASE)
# "When", "in which room": the rest of the question is in its neighbor.
_BARE = re.compile(rf"{_ASKS}(?: \w+)?", re.IGNORECASE)
_LEAD = re.compile(rf"{_ASKS}(?: (?:much|many|long|often|far|old|big|large|high|soon|late|early)\b)?\s*", re.IGNORECASE)
_HELP = re.compile(rf"{_HELPS}\s*", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:it|they|them|he|she|him)\b", re.IGNORECASE)
_POSSESSIVE = re.compile(r"\b(?:its|their|his|her)\b", re.IGNORECASE)
MAX_PARTS = 4


def parts_of(question: str) -> tuple[str, ...]:
    """What `question` asks, in order; only the question itself when it asks one thing, or more than four.

    Each part can be read by itself: words that it leaves to another part are filled in.
    """
    parts, begin = [], 0
    for border in _BORDER.finditer(question):
        parts.append(question[begin : border.start()])
        begin = border.end()
    parts.append(question[begin:])
    parts = [part.strip(" \t\r\n,?;") for part in parts]
    if not (1 < len(parts) <= MAX_PARTS and _OPENS.match(parts[0])):
        return (question,)
    whole = _completed(parts)
    return tuple(f"{part}?" for part in whole) if whole else (question,)


def _completed(parts: Sequence[str]) -> list[str]:
    """The parts with the words they leave to another filled in: the subject, or everything but the question word.

    Empty when one of them is still not a question.
    """
    full = next((part for part in parts if question_terms(part) and not _BARE.fullmatch(part)), None)
    if full is None:
        return []
    rest = _LEAD.sub("", full, count=1)
    subject = _HELP.sub("", rest, count=1)
    whole: list[str] = []
    for part in parts:
        if _BARE.fullmatch(part) and part is not full:
            whole.append(f"{part} {rest}")
        elif part is not parts[0] and part is not full and subject != full:
            named = _PRONOUN.sub(lambda _: subject, part, count=1)
            whole.append(_POSSESSIVE.sub(lambda _: f"{subject}'s", named, count=1))
        else:
            whole.append(part)
    return whole if all(map(question_terms, whole)) else []
