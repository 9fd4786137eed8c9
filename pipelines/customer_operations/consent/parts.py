"""Splits a message by the orders that it names, so that each wish can be read by itself."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.kit.expressions import Expression

PARTS_MAX = 5
# Between two numbers that share the same words, if these stand before the list or after it, and not around it: "cancel
# A and B", but not "cancel A and B was late".
_LISTED = re.compile(r" ?(?:,|,? ?(?:and|&|\+|as well as)) ?(?:for )?(?:order |parcel |label )?", re.IGNORECASE)
_NOTHING_BEFORE = re.compile(
    r"(?:\W|\b(?:for|of|on|re|regarding|concerning|about|with|both|my|our|the|orders?|parcels?|labels?|numbers?)\b)*",
    re.IGNORECASE,
)
_NOTHING_BEHIND = re.compile(r"\W*(?:please|pls|thanks|thank you|thx|too|today|now|for (?:me|us))?\W*", re.IGNORECASE)
_REASON = re.compile(r",? ?(?:because|since|as|which|that|,|;|-|\.)", re.IGNORECASE)
# Where a sentence moves from one order to the next.
_TURN = re.compile(r"[,;:]|\b(?:and|but|then|also|plus|while|whereas)\b", re.IGNORECASE)
_ALL = re.compile(
    r"\b(?:both|all of (?:them|these|those)|all (?:two|three|four|five)|each of them|them)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """The text about one order, `said` sentence by sentence as it is written, `text` without the other orders."""

    order: str
    text: str
    said: tuple[tuple[str, str], ...]

    def written(self, words: str | None) -> str | None:
        """The customer's own sentence that `words` were taken from."""
        return next((whole for piece, whole in self.said if words and words in piece), words)


def divide(sentences: Sequence[str], pattern: Expression) -> list[Part]:
    """A part for each order that `sentences` name, in their order; none when they name fewer than two, or too many.

    A sentence without a number belongs to the order before it, one with "both" to all. Also none when a sentence names
    two orders and it is unclear which words belong to which.
    """
    said: dict[str, list[tuple[str, str]]] = {}
    opening: list[str] = []
    current: list[str] = []
    for sentence in sentences:
        if not pattern.is_in(sentence):
            for order in list(said) if _ALL.search(sentence) else current:
                said[order].append((sentence, sentence))
            if not current:
                opening.append(sentence)
            continue
        pieces = list(_pieces(sentence, pattern))
        if not pieces:
            return []
        for order, piece in pieces:
            said.setdefault(order, []).append((piece, sentence))
        current = [pieces[-1][0]]
    if not 1 < len(said) <= PARTS_MAX:
        return []
    first = next(iter(said))
    said[first][:0] = [(each, each) for each in opening]
    return [Part(order, " ".join(piece for piece, _ in pieces), tuple(pieces)) for order, pieces in said.items()]


def _pieces(sentence: str, pattern: Expression) -> Iterator[tuple[str, str]]:
    """The text of the sentence about each order; nothing when it cannot be taken apart."""
    groups = _groups(sentence, list(pattern.spans_in(sentence)))
    begin, found = 0, []
    for number, group in enumerate(groups):
        end = len(sentence)
        if number + 1 < len(groups):
            between = sentence[group[-1][1] : groups[number + 1][0][0]]
            turns = list(_TURN.finditer(between))
            if not turns:
                return
            end = group[-1][1] + turns[-1].start()
        before, after = sentence[begin : group[0][0]], sentence[group[-1][1] : end]
        found += [
            (sentence[first:last].upper(), f"{before}{sentence[first:last]}{after}".strip(" ,;:"))
            for first, last in group
        ]
        begin = end
    yield from found


def _groups(sentence: str, spans: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Numbers in one list are a group, and so are those of one order."""
    groups: list[list[tuple[int, int]]] = []
    for span in spans:
        last = groups[-1][-1] if groups else None
        if last is not None and sentence[slice(*last)].upper() == sentence[slice(*span)].upper():
            continue
        if last is not None and _LISTED.fullmatch(sentence[last[1] : span[0]]):
            groups[-1].append(span)
        else:
            groups.append([span])
    return [part for group in groups for part in ([group] if _is_list(sentence, group) else [[each] for each in group])]


def _is_list(sentence: str, group: Sequence[tuple[int, int]]) -> bool:
    before, behind = sentence[: group[0][0]], sentence[group[-1][1] :]
    turns = list(_TURN.finditer(before))
    before = before[turns[-1].end() :] if turns else before
    return bool(
        len(group) > 1
        and (_NOTHING_BEFORE.fullmatch(before) or _NOTHING_BEHIND.fullmatch(behind) or _REASON.match(behind))
    )
