"""Divides a question by its own form: several questions, questions joined by "and", listed aspects, comparisons.

A question without a clear form stays whole: a wrong division costs more than a coarse one.
"""

import re

from core.gateway.extraction.sentences import split_sentences
from core.gateway.extraction.words import content_words
from pipelines.research.schemas import Origin
from pipelines.research.state import Part

_OPEN = r"(?:what|how|which|when|where|who|whom|whose|why)"
_CLOSED = r"(?:is|are|was|were|do|does|did|can|could|may|must|should|will|would)"
_BEFORE = r"(?:(?:in|to|for|at|by|from|on|with|under|until|since|up to)\s+)?"
# All of them match questions whose blanks are single spaces, and look ahead at most to the end of their match.
_JOINT = re.compile(rf" ?(?:;|,? and(?: also)?|,) (?=(?:{_BEFORE}{_OPEN}|{_CLOSED})\s)", re.IGNORECASE)
_OPENING = re.compile(rf"^(?:and\s+|also\s+)?(?:{_BEFORE}{_OPEN}|{_CLOSED})\s", re.IGNORECASE)
_ASKS_OPENLY = re.compile(rf"^{_BEFORE}{_OPEN}\s", re.IGNORECASE)
_LISTING = re.compile(
    r"(?:,? (?:in terms of|with (?:respect|regard) to|with emphasis on|regarding|concerning|covering|including) "
    r"| ?: )(?P<items>[^.?!]{1,200})[.?!]{0,3}$",
    re.IGNORECASE,
)
_ABOUT = re.compile(r" (?:about|on|of) (?P<items>[^.?!]{1,200})[.?!]{0,3}$", re.IGNORECASE)
_BETWEEN = re.compile(
    r"\b(?:difference|differences|comparison|choice|choose)\s+between (?P<one>[^,?.]{1,80}?) and (?P<other>[^,?.]+)",
    re.IGNORECASE,
)
_COMPARE = re.compile(
    r"\bcompare (?P<one>[^,?.]{1,80}?) (?:and|with|to|against) (?P<other>[^,?.]+)"
    r"|\b(?:how|where) (?:do|does) (?P<first>[^,?.]{1,80}?) (?:and|differ from|compare (?:with|to)) "
    r"(?P<second>[^,?.]{1,80}?)(?: (?:differ|compare)\b|(?=[,?.]|$))",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r" ?, ?(?:and |or )?| and | or ", re.IGNORECASE)
_DANGLING = re.compile(r"\b(?:it|its|they|them|their|this|that|these|those|he|she|one)\b", re.IGNORECASE)
_ITEM_MAX_WORDS = 7
_LISTED_LEAST = 3


def divide(question: str, most: int) -> list[Part]:
    """At most `most` parts in the order of the question; a question that cannot be divided is its only part."""
    parts = [part for sentence in _questions(question) for part in _divide_one(sentence)]
    if len(parts) > 1:
        parts = [_with_subject(part, parts[0]) for part in parts]
    return _distinct(parts)[:most] or [_part(_tidy(question), "asked")]


def _questions(question: str) -> list[str]:
    """The sentences that are questions or instructions; a question that "and" joins to another is one by itself."""
    text = " ".join(question.split())
    sentences = [text[found.start : found.end] for found in split_sentences(text)]
    asking = [sentence for sentence in sentences if sentence.endswith("?")]
    if not asking:
        asking = sentences
    found = []
    for sentence in asking:
        pieces = _JOINT.split(sentence)
        if len(pieces) > 1 and all(_stands_alone(piece) for piece in pieces) and _OPENING.match(pieces[0]):
            found.extend(pieces)
        else:
            found.append(sentence)
    return [_tidy(piece) for piece in found]


def _stands_alone(piece: str) -> bool:
    """Whether a piece is a complete question: "and is" may join two predicates of one."""
    words = content_words(piece)
    return bool(words) if _ASKS_OPENLY.match(piece) else len(words) > 1


def _divide_one(question: str) -> list[Part]:
    bare = question.rstrip("?.! ")
    listing = _LISTING.search(bare)
    items = _items(listing.group("items")) if listing else []
    stem = bare[: listing.start()] if listing else bare
    sides = _sides(stem)
    if items:
        subject = " and ".join(sides) if sides else stem
        # "Compare" is addressed to the writer; no document uses it of the things compared.
        return [_aspect(f"{subject}: {item}", f"{subject} {item}" if sides else f"{stem} {item}") for item in items]
    if sides:
        return [_aspect(f"{side}", f"{side}: {_without_sides(stem, sides)}") for side in sides]
    about = _ABOUT.search(bare)
    listed = _items(about.group("items")) if about else []
    if about and len(listed) >= _LISTED_LEAST:
        return [_aspect(f"{bare[: about.start()]}: {item}", f"{bare[: about.start()]} {item}") for item in listed]
    return [_part(question, "asked")]


def compared_sides(question: str) -> list[str]:
    """The things that a question compares, in its order; empty when it compares nothing."""
    for sentence in _questions(question):
        bare = sentence.rstrip("?.! ")
        listing = _LISTING.search(bare)
        if sides := _sides(bare[: listing.start()] if listing else bare):
            return sides
    return []


def _sides(stem: str) -> list[str]:
    found = _BETWEEN.search(stem) or _COMPARE.search(stem)
    if not found:
        return []
    sides = [side.strip() for side in found.groupdict().values() if side]
    short = all(len(side.split()) <= _ITEM_MAX_WORDS for side in sides)
    return sides if len(sides) == len({side.casefold() for side in sides}) > 1 and short else []


def _without_sides(stem: str, sides: list[str]) -> str:
    rest = stem
    for side in sides:
        rest = rest.replace(side, " ")
    return " ".join(rest.split())


def _items(text: str) -> list[str]:
    items = [item.strip(" .") for item in _SEPARATOR.split(text)]
    items = [re.sub(r"^the\s+", "", item, flags=re.IGNORECASE) for item in items if item]
    usable = all(content_words(item) and len(item.split()) <= _ITEM_MAX_WORDS for item in items)
    return items if len(items) > 1 and usable else []


def _with_subject(part: Part, first: Part) -> Part:
    """The part, searched for together with the subject of the first one when it refers to it as "it"."""
    if part is first or not _DANGLING.search(part["question"]):
        return part
    return {**part, "query": f"{part['query']} ({first['question'].rstrip('?')})"}


def _distinct(parts: list[Part]) -> list[Part]:
    seen: set[tuple[str, ...]] = set()
    kept = []
    for part in parts:
        words = tuple(sorted(set(content_words(part["question"]))))
        if words and words not in seen:
            seen.add(words)
            kept.append(part)
    return kept


def _tidy(text: str) -> str:
    body = re.sub(r"^(?:and|also)\s+", "", text.strip(" ,;"), flags=re.IGNORECASE)
    body = body[:1].upper() + body[1:]
    return f"{body}?" if _OPENING.match(body) and body[-1:] not in "?!" else body


def _part(question: str, origin: Origin) -> Part:
    return {"question": question, "query": question, "heading": question, "origin": origin}


def _aspect(question: str, query: str) -> Part:
    text = question[:1].upper() + question[1:]
    return {"question": text, "query": query, "heading": text, "origin": "aspect"}
