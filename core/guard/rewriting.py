"""Reversible redaction of one text: tracks where each piece of the new text came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from core.guard.records import Action, Decision, Finding, RedactionMode
from core.guard.redaction import Namer, redact
from core.guard.tokens import LITERAL, TOKEN


@dataclass(frozen=True, slots=True)
class Cluster:
    """Overlapping findings, redacted together by the one decision `inside`, whose positions are relative to `start`."""

    start: int
    end: int
    inside: tuple[Decision]


@dataclass(frozen=True, slots=True)
class Edit:
    """``old[start:end]`` became ``new[new_start:new_end]``."""

    start: int
    end: int
    new_start: int
    new_end: int


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A text after redaction."""

    text: str
    edits: tuple[Edit, ...] = field(default=())

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The position of ``text[start:end]`` in the old text; one that starts or ends in a token covers its value."""
        return self._old(start, is_end=False), self._old(end, is_end=True)

    def _old(self, place: int, *, is_end: bool) -> int:
        moved = 0
        for edit in self.edits:
            if place <= edit.new_start:
                break
            if place < edit.new_end:
                return edit.end if is_end else edit.start
            moved = edit.end - edit.new_end
        return place + moved


def clusters(decisions: Iterable[Decision]) -> list[Cluster]:
    """The redactions in order of position, overlapping ones as one."""
    found: list[list[Decision]] = []
    past = 0
    for each in sorted(decisions, key=lambda each: (each.finding.start, -each.finding.end)):
        if found and each.finding.start < past:
            found[-1].append(each)
        else:
            found.append([each])
        past = max(past, each.finding.end)
    return [_cluster(group) for group in found]


def rewrite(text: str, decisions: Iterable[Decision], name: Namer) -> Rewritten:
    """`text` with every value redacted that `decisions` want redacted."""
    parts: list[str] = []
    edits: list[Edit] = []
    at = length = 0
    for cluster in clusters(each for each in decisions if each.action is Action.REDACT):
        new = redact(text[cluster.start : cluster.end], cluster.inside, name)
        parts += (text[at : cluster.start], new)
        begins = length + cluster.start - at
        length = begins + len(new)
        edits.append(Edit(cluster.start, cluster.end, begins, length))
        at = cluster.end
    return Rewritten("".join((*parts, text[at:])), tuple(edits))


def literals(text: str) -> list[Decision]:
    """Text that looks like a token before any was issued: it gets its own token, so that it comes back unchanged."""
    return [
        Decision(Finding(LITERAL, found.start(), found.end(), 0.0, LITERAL), Action.REDACT)
        for found in TOKEN.finditer(text)
    ]


def clipped(cluster: Cluster, length: int) -> tuple[Decision]:
    """A cluster with only its last `length` characters left: they are masked, since half a value is no value."""
    [whole] = cluster.inside
    return (replace(whole, finding=replace(whole.finding, start=0, end=length), mode=RedactionMode.MASK),)


def _cluster(group: Sequence[Decision]) -> Cluster:
    """One decision for all of it, that of the surest and then longest finding, over the whole span."""
    start, end = group[0].finding.start, max(each.finding.end for each in group)
    chosen = max(group, key=lambda each: (each.finding.score, each.finding.end - each.finding.start))
    whole = replace(chosen, finding=replace(chosen.finding, start=0, end=end - start))
    return Cluster(start, end, (whole,))
