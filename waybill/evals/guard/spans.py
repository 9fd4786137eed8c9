"""Texts with labeled spans, and which findings match them.

A span is found when at least half of its characters are in findings of its kind, and a finding is right when at least
half of its characters are in spans of its kind. Related kinds count as one: a postcode is a part of an address, and the
city of an address may be labeled as a location.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from core.guard.records import EntityKind, Finding


@dataclass(frozen=True, slots=True)
class Span:
    """A labeled value of `kind` at ``text[start:end]``."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its labeled spans. `group` is the data set's name for texts of one origin."""

    text: str
    spans: tuple[Span, ...]
    group: str


def kind_of(kind: str) -> str:
    """The kind under which `kind` is scored."""
    return "address" if kind == EntityKind.POSTCODE else str(kind)


def is_covered(span: Span, findings: Iterable[Finding]) -> bool:
    """Whether half of the characters of `span` are in findings of its kind."""
    same = [each for each in findings if kind_of(each.kind) == kind_of(span.kind)]
    return 2 * overlap(span.start, span.end, same) >= span.end - span.start


def is_right(finding: Finding, spans: Iterable[Span]) -> bool:
    """Whether half of the characters of `finding` are in spans of its kind; of an address, also in locations."""
    kind = kind_of(finding.kind)
    allowed = {kind} | ({"location"} if kind == "address" else set())
    same = [each for each in spans if kind_of(each.kind) in allowed]
    own = any(kind_of(each.kind) == kind and overlap(each.start, each.end, [finding]) for each in same)
    return own and 2 * overlap(finding.start, finding.end, same) >= finding.end - finding.start


def overlap(start: int, end: int, others: Iterable[Span | Finding]) -> int:
    """How many characters of ``[start, end)`` are in any of the others."""
    return len({index for each in others for index in range(max(start, each.start), min(end, each.end))})
