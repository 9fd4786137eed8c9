"""What the guard's children load for tests: recognizers that are there at once and obey their texts.

A module of its own, since a child imports what stands beside its entry.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from core.guard.detection import Detector
from core.guard.records import EntityKind, Finding
from tests.factories.identifiers import Listed
from tests.factories.listed_analyzer import ListedAnalyzer
from workers.analyzer.child import Handler, handler_of

STAND_STILL, CRASH = "stand still", "crash"


class Digits:
    """Takes every digit for a phone number."""

    def find(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:  # noqa: ARG002
        for text in texts:
            if text.startswith("mark "):
                Path(text.split()[1]).touch()
                time.sleep(1)
            if STAND_STILL in text:
                time.sleep(3600)
            if CRASH in text:
                os._exit(7)
            if text.startswith("wait "):
                time.sleep(float(text.split()[1]))
        return [
            [Finding(EntityKind.PHONE, at, at + 1, 0.5, "digits") for at, letter in enumerate(text) if letter.isdigit()]
            for text in texts
        ]


class Addresses:
    """Finds e-mail addresses and telephone numbers."""

    def find(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:  # noqa: ARG002
        return ListedAnalyzer().analyze(texts)


class Orders:
    """Takes a text that begins with "ignore" for an injection."""

    def score(self, texts: Sequence[str]) -> list[float]:
        return [0.9 if text.startswith("ignore") else 0.0 for text in texts]


def open_light() -> Handler:
    """What a child of the process below loads."""
    return handler_of(Detector(Digits(), Orders()))


def open_addresses() -> Handler:
    """Another that a child may load."""
    return handler_of(Detector(Addresses(), Orders()))


def open_identifiers() -> Handler:
    """One that knows `tests.factories.identifiers`."""
    return handler_of(Detector(Listed(), Orders()))
