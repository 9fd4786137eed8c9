"""Redacts a text's findings, and renders a view that highlights them."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator
from html import escape

from core.guard.records import Action, Decision, RedactionMode

# Returns the replacement for a value, given its kind, the value and the mode.
Namer = Callable[[str, str, RedactionMode], str]
_DIGEST_CHARACTERS = 12


def redact(text: str, decisions: Iterable[Decision], name: Namer) -> str:
    """`text` with ``name(kind, value, mode)`` in place of every finding that is to be redacted or blocked.

    `decisions` are those about this text, in any order; only redact and block change it. Findings that overlap become
    one, from the start of the first to the end of the last, named for the strictest.
    """
    pieces, at = [], 0
    for start, end, decision in _joined(each for each in decisions if each.action.rank >= Action.REDACT.rank):
        pieces += [text[at:start], name(decision.finding.kind, text[start:end], decision.mode)]
        at = end
    return "".join([*pieces, text[at:]])


class Names:
    """Names for values of one text or of related texts: equal values of a kind have the same name.

    They are discarded with this object, and no value can be recovered from them.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._numbers: dict[str, dict[str, int]] = {}

    def __call__(self, kind: str, value: str, mode: RedactionMode) -> str:
        """The replacement for `value`: ``<PHONE>``, ``<PHONE_1>``, ``<PHONE:1f0c…>``, or nothing."""
        shown = kind.upper()
        if mode is RedactionMode.DROP:
            return ""
        if mode is RedactionMode.MASK:
            return f"<{shown}>"
        if mode is RedactionMode.HASH:
            digest = hmac.new(self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
            return f"<{shown}:{digest.hexdigest()[:_DIGEST_CHARACTERS]}>"
        numbers = self._numbers.setdefault(kind, {})
        return f"<{shown}_{numbers.setdefault(value, len(numbers) + 1)}>"


def highlight(text: str, decisions: Iterable[Decision]) -> str:
    """`text` as HTML with a ``mark`` around every finding; its class is the action.

    ``data-kind``, ``data-score`` and ``data-recognizer`` describe the finding; where findings overlap, the strictest is
    shown, and of those the shortest. Everything is escaped, so that it can be in any element; white space is the text's
    own (``white-space: pre-wrap``).
    """
    pieces: list[str] = []
    for start, end, decision in _layers(len(text), list(decisions)):
        shown = escape(text[start:end])
        if decision is not None:
            finding = decision.finding
            said = {"class": decision.action.value, "data-kind": finding.kind, "data-score": f"{finding.score:.2f}"}
            said["data-recognizer"] = finding.recognizer
            attributes = " ".join(f'{name}="{escape(value)}"' for name, value in said.items())
            shown = f"<mark {attributes}>{shown}</mark>"
        pieces.append(shown)
    return "".join(pieces)


def _layers(length: int, decisions: list[Decision]) -> Iterator[tuple[int, int, Decision | None]]:
    """Spans that cover the whole text, each with the decision shown there."""
    places = [each.finding for each in decisions]
    bounds = sorted({0, length, *(each.start for each in places), *(each.end for each in places)})
    waiting = sorted(decisions, key=lambda each: each.finding.start, reverse=True)
    active: list[Decision] = []
    began, shown = 0, None
    for start in bounds[:-1]:
        while waiting and waiting[-1].finding.start <= start:
            active.append(waiting.pop())
        active = [each for each in active if each.finding.end > start]
        top = max(active, key=lambda each: (each.action.rank, each.finding.start - each.finding.end), default=None)
        if top is not shown:
            if start > began:
                yield began, start, shown
            began, shown = start, top
    if length > began:
        yield began, length, shown


def _joined(decisions: Iterable[Decision]) -> list[tuple[int, int, Decision]]:
    """Spans that do not overlap, in order, each with the strictest decision about it."""
    joined: list[tuple[int, int, Decision]] = []
    for decision in sorted(decisions, key=lambda each: (each.finding.start, -each.finding.end)):
        start, end = decision.finding.start, decision.finding.end
        if joined and start < joined[-1][1]:
            began, ended, other = joined[-1]
            joined[-1] = (began, max(ended, end), max(other, decision, key=_strictness))
        elif end > start:
            joined.append((start, end, decision))
    return joined


def _strictness(decision: Decision) -> tuple[int, float, int]:
    finding = decision.finding
    return decision.action.rank, finding.score, finding.end - finding.start
