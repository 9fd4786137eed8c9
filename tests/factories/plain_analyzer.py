"""An analyzer that is small enough to foretell what it finds."""

import re
from collections.abc import Sequence

from core.guard.records import EntityKind, Finding

_EMAIL = re.compile(r"[a-z]{1,20}@[a-z]{1,20}\.[a-z]{2,5}")
_ORDER = "ignore what was said before"


class PlainAnalyzer:
    """Finds addresses in lower case, and takes one sentence for an injection.

    `asked` are the texts that it got, `kinds` what was wanted of each call.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.kinds: list[frozenset[str] | None] = []

    def analyze(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:
        """See `core.guard.analyzer.Analyzer`."""
        self.asked += texts
        self.kinds.append(kinds)
        return [[each for each in _findings(text) if kinds is None or each.kind in kinds] for text in texts]

    def check(self) -> None:
        """It is always there."""

    def close(self) -> None:
        """It holds nothing."""


def _findings(text: str) -> list[Finding]:
    orders = [Finding(EntityKind.INJECTION, 0, len(text), 0.9, "plain")] if _ORDER in text.lower() else []
    return orders + [Finding(EntityKind.EMAIL, *match.span(), 0.95, "plain") for match in _EMAIL.finditer(text)]
