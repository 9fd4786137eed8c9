"""Splits long texts into overlapping windows, so that a request is bounded however long a text is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.guard.records import EntityKind, Finding

WINDOW_CHARACTERS = 16_000
# The longest value that must be found whole, with the recognizers' context around it.
OVERLAP_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Window:
    """``text[start:end]``, of which ``text[own_start:own_end]`` belongs to no other window of the text."""

    start: int
    own_start: int
    own_end: int
    end: int


def windows_of(length: int) -> list[Window]:
    """The windows of a text of that many characters; a single one unless it is long."""
    if length <= WINDOW_CHARACTERS:
        return [Window(0, 0, length, length)]
    own = WINDOW_CHARACTERS - 2 * OVERLAP_CHARACTERS
    return [
        Window(
            max(0, start - OVERLAP_CHARACTERS),
            start,
            min(length, start + own),
            min(length, start + own + OVERLAP_CHARACTERS),
        )
        for start in range(0, length, own)
    ]


def joined(length: int, windows: Sequence[Window], found: Sequence[Sequence[Finding]]) -> list[Finding]:
    """The findings of a text of `length` characters, merged from its windows, in order and without overlaps.

    A finding is taken from the window that owns its start. Of injections, the one with the highest score is kept.
    """
    if len(windows) == 1:
        return list(found[0])
    findings: list[Finding] = []
    injection: Finding | None = None
    for window, each in zip(windows, found, strict=True):
        for finding in each:
            start = finding.start + window.start
            if finding.kind == EntityKind.INJECTION:
                if injection is None or finding.score > injection.score:
                    injection = replace(finding, start=0, end=length)
            elif window.own_start <= start < window.own_end and (not findings or start >= findings[-1].end):
                findings.append(replace(finding, start=start, end=finding.end + window.start))
    return [injection, *findings] if injection else findings
