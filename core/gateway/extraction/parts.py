"""The questions that one sentence asks: "Who decides, and how long may it take?" asks two."""

import re

from core.gateway.extraction.terms import question_terms

_ASKS = (
    r"(?:(?:at|by|for|from|in|on|to|until|within|under|after|before|since|with|of) )?"
    r"(?:what|which|who|whom|whose|when|where|why|how)\b"
)
_HELPS = r"(?:can|could|may|must|is|are|was|were|do|does|did|will|would|should|has|have|had)\b"
# A helping verb begins a question only behind the end of another: "it opens and is closed at six" goes on.
_BORDER = re.compile(
    rf"[?;]\s{{1,3}}(?:and |or |also )?(?={_ASKS}|{_HELPS})|,? (?:and|or)(?: also)? (?={_ASKS})", re.IGNORECASE
)
_OPENS = re.compile(rf"(?:[^?;]{{1,80}}, )?(?:{_ASKS}|{_HELPS})", re.IGNORECASE)
_MIN_TERMS = 2
MAX_PARTS = 4


def parts_of(question: str) -> tuple[str, ...]:
    """What `question` asks, in order; itself alone when it asks one thing, or more than four.

    A part needs two words that carry meaning: "when and where the board meets" stays one question.
    """
    parts, begin = [], 0
    for border in _BORDER.finditer(question):
        parts.append(question[begin : border.start()])
        begin = border.end()
    parts.append(question[begin:])
    parts = [part.strip(" \t\r\n,?;") for part in parts]
    each_asks = all(len(question_terms(part)) >= _MIN_TERMS for part in parts) and _OPENS.match(parts[0])
    return tuple(f"{part}?" for part in parts) if each_asks and 1 < len(parts) <= MAX_PARTS else (question,)
