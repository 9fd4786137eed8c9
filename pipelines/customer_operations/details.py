"""Finds numbers and addresses in a message."""

import re
from collections.abc import Mapping, Sequence

from core.kit.expressions import Expression

_STREET = r"(?<![\w'.-])(?P<street>[^\W\d_][\w'.-]*(?: [\w'.-]+){0,4} \d+ ?[A-Za-z]?)"
_TOWN = r"(?P<postcode>\d{4} ?[A-Z]{2}|\d{2}-\d{3}|\d{4,5}),? (?P<city>[^\W\d_]+(?:[ -][A-ZÀ-Ž][^\W\d_]+){0,2})"
_ADDRESS = re.compile(rf"(?:\b(?:to|is|address|:)\s+)?{_STREET},?\s{{1,4}}{_TOWN}")
# The words before an address that is not the new one, up to it.
_ELSEWHERE = re.compile(
    r"\b(?:not|never|instead of|rather than|old|previous|former|current)\b[^.!?,;:]{0,24}$|\bfrom (?:my |the )?$",
    re.IGNORECASE,
)
_LEADING = re.compile(r"^(?:.*\b(?:to|is|address:?|at)\s)", re.IGNORECASE)
_LEADING_OR_EXCLUDING = re.compile(r"^(?:.*\b(?:to|is|address:?|at|not|never|of|than|from|my|the)\s)", re.IGNORECASE)
# The fields of an understood message that make an address complete.
_ADDRESS_PARTS = ("street", "postcode", "city")


def find_order(
    message: str, thread: Sequence[Mapping[str, str]], pattern: Expression, *, first: Sequence[str] = ()
) -> str | None:
    """The order or tracking number that the customer wrote last; None when there is none, or several.

    `first` are pieces of the message that are searched before the whole of it: one that names a single order decides.
    """
    for text in first:
        found = orders_named(text, pattern)
        if len(found) == 1:
            return found.pop()
    own = [said["text"] for said in reversed(thread) if said["author"] == "customer"]
    for text in (message, *own):
        found = orders_named(text, pattern)
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def orders_named(text: str, pattern: Expression) -> set[str]:
    """The numbers of orders and parcels in a text, in capitals."""
    return {named.upper() for named in pattern.all_in(text)}


def find_address(message: str) -> dict[str, str] | None:
    """The one complete address in a message: a street with a number, a postcode and a town.

    None when there are several, or when it is an origin or an excluded destination.
    """
    found = list(_ADDRESS.finditer(message))
    if len(found) != 1:
        return None
    # What matched as a street may begin in the sentence before: what excludes it stands right before its own words.
    street, end = found[0]["street"], found[0].end("street")
    begin = end - len(_LEADING_OR_EXCLUDING.sub("", street))
    if _ELSEWHERE.search(message[max(0, begin - 40) : begin]):
        return None
    parts = {name: found[0][name].strip() for name in _ADDRESS_PARTS}
    return {**parts, "street": _LEADING.sub("", parts["street"])}


def mentions(text: str, words: Sequence[str]) -> bool:
    """Whether one of `words` occurs in `text` as a whole word or phrase."""
    pattern = "|".join(re.escape(word) for word in words)
    return re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE) is not None


def stands_in(text: str, part: str) -> bool:
    """Whether `part` occurs in `text`, ignoring case."""
    return bool(part.strip()) and part.strip().lower() in text.lower()
