"""The analyzer in this process: finds personal data and injections with the built-in recognizers."""

from collections.abc import Sequence
from threading import Lock
from typing import Protocol

from core.guard.records import EntityKind, Finding

INJECTION_RECOGNIZER = "injection"
_NOT_PERSONAL = frozenset({EntityKind.INJECTION})


class PersonalData(Protocol):
    """Finds personal data and secrets in texts."""

    def find(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:
        """The findings of each text, not overlapping; at least those of `kinds`, all when None."""


class Injections(Protocol):
    """Judges whether texts try to give instructions to a model."""

    def score(self, texts: Sequence[str]) -> list[float]:
        """From 0 (no sign of it) to 1, for each text."""


class Detector:
    """An `Analyzer` that loads the recognizers when created: this takes seconds and hundreds of megabytes.

    Other recognizers may be passed in. Only one thread at a time calls them.
    """

    def __init__(self, personal: PersonalData | None = None, injections: Injections | None = None) -> None:
        if personal is None:
            from core.guard.personal.recognition import PersonalDataRecognizer

            personal = PersonalDataRecognizer()
        if injections is None:
            from core.guard.injection.detection import InjectionDetector

            injections = InjectionDetector()
        self._personal = personal
        self._injections = injections
        self._lock = Lock()

    def analyze(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:
        """See `core.guard.analyzer.Analyzer`. An injection is reported with any score above 0."""
        found: list[list[Finding]] = [[] for _ in texts]
        scores = [0.0] * len(texts)
        with self._lock:
            if kinds is None or kinds - _NOT_PERSONAL:
                found = self._personal.find(texts, kinds)
            if kinds is None or EntityKind.INJECTION in kinds:
                scores = self._injections.score(texts)
        return [
            sorted(
                (each for each in (*_injection(text, score), *findings) if kinds is None or each.kind in kinds),
                key=lambda finding: (finding.start, -finding.end),
            )
            for text, findings, score in zip(texts, found, scores, strict=True)
        ]


def _injection(text: str, score: float) -> list[Finding]:
    if not text or score <= 0:
        return []
    return [Finding(EntityKind.INJECTION, 0, len(text), min(score, 1.0), INJECTION_RECOGNIZER)]
