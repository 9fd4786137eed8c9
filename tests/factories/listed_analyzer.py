"""An analyzer that knows e-mail addresses, telephone numbers, keys and the names it is given; it can be killed."""

import re
from collections.abc import Callable, Sequence
from threading import Event

from core.guard.records import EntityKind, Finding
from core.kit.errors import Unavailable

_EMAIL = re.compile(r"\b[\w.+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4}\b", re.IGNORECASE)
_PHONE = re.compile(r"\+[0-9]{1,3}(?:[ -]?[0-9]){6,14}")
_SECRET = re.compile(r"\bsk-[A-Za-z0-9]{16,}\b")


class ListedAnalyzer:
    """Implements `core.guard.analyzer.Analyzer`. `calls` are the texts of every call, `kill` makes it unavailable.

    `kinds` are those that were wanted of each call.
    """

    def __init__(self, *names: str, dies_after: int | None = None) -> None:
        parts = "|".join(r"\s+".join(map(re.escape, name.split())) for name in sorted(names, key=len, reverse=True))
        self._names = re.compile(rf"\b(?:{parts})\b", re.IGNORECASE) if names else None
        self._dead = Event()
        self._dies_after = dies_after
        self.calls: list[tuple[str, ...]] = []
        self.kinds: list[frozenset[str] | None] = []

    def kill(self) -> None:
        """Answer nothing from now on."""
        self._dead.set()

    def revive(self) -> None:
        """Answer again."""
        self._dies_after = None
        self._dead.clear()

    def analyze(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:
        """See `Analyzer.analyze`."""
        if self._dead.is_set() or (self._dies_after is not None and len(self.calls) >= self._dies_after):
            raise Unavailable("the guard analyzer does not answer", code="guard_unavailable")
        self.calls.append(tuple(texts))
        self.kinds.append(kinds)
        return [[each for each in self._found(text) if kinds is None or each.kind in kinds] for text in texts]

    def _found(self, text: str) -> list[Finding]:
        found: list[Finding] = []
        past = 0
        searches: list[tuple[EntityKind, re.Pattern[str] | None]] = [
            (EntityKind.SECRET, _SECRET),
            (EntityKind.EMAIL, _EMAIL),
            (EntityKind.PHONE, _PHONE),
            (EntityKind.PERSON, self._names),
        ]
        every = [
            Finding(kind, match.start(), match.end(), 0.9, "listed")
            for kind, expression in searches
            if expression is not None
            for match in expression.finditer(text)
        ]
        place: Callable[[Finding], tuple[int, int]] = lambda each: (each.start, -each.end)  # noqa: E731
        for each in sorted(every, key=place):
            if each.start >= past:
                found.append(each)
                past = each.end
        return found
