"""Finds personal data and injections in texts. It runs in its own process, which several pools share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from core.guard.records import Finding
from core.kit.settings import Settings

if TYPE_CHECKING:
    from core.guard.analyzer_client import AnalyzerClient


class Analyzer(Protocol):
    """Finds what the built-in recognizers detect, whatever the policy. Safe to use from several threads."""

    def analyze(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:
        """The findings of each text, not overlapping, in order of position; an injection covers the whole text.

        Only those of `kinds`, which are built-in ones; all when None. Leaving out names, places and organizations saves
        a language model's run. Raises `core.kit.errors.Unavailable` when the analyzer does not answer in time.
        """


def open_analyzer(settings: Settings) -> "AnalyzerClient | None":
    """The analyzer at `guard_url`; None when it is not set, in which case no HTTP client is imported."""
    if settings.guard_url is None:
        return None
    from core.guard.analyzer_client import AnalyzerClient

    return AnalyzerClient(settings.guard_url, timeout_seconds=settings.guard_timeout_seconds)
