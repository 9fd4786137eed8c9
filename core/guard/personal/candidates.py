"""A recognizer's candidates, and the choice among overlapping ones."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from core.guard.records import EntityKind, Finding


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible finding at ``text[start:end]``, with a score from 0 to 1. `checked`: its checksum is correct."""

    kind: EntityKind
    start: int
    end: int
    score: float
    recognizer: str
    checked: bool = False


Recognizer = Callable[[str], Iterator[Candidate]]


def is_bounded(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` is not part of a longer word or number, nor the tail of a code (``VH-30001``)."""
    if start > 0 and text[start].isalnum():
        before = text[start - 1]
        if before.isalnum() or before == "_" or (before in "-./" and start > 1 and text[start - 2].isalnum()):
            return False
    return not (end < len(text) and text[end - 1].isalnum() and (text[end].isalnum() or text[end] == "_"))


def preceding(text: str, start: int, length: int) -> str:
    """The `length` characters before `start`."""
    return text[max(0, start - length) : start]


def resolve(candidates: Iterable[Candidate]) -> list[Finding]:
    """The findings, not overlapping, in order of position. A checksum outranks a score, and a score the length."""
    ranked = sorted(candidates, key=lambda each: (not each.checked, -each.score, each.start - each.end, each.start))
    starts: list[int] = []
    taken: list[Candidate] = []
    for each in ranked:
        index = bisect_left(starts, each.start)
        if (index > 0 and taken[index - 1].end > each.start) or (index < len(taken) and taken[index].start < each.end):
            continue
        starts.insert(index, each.start)
        taken.insert(index, each)
    return [Finding(each.kind, each.start, each.end, each.score, each.recognizer) for each in taken]
