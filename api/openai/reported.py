"""The text that a stream has sent to its client, reconciled with a job whose deltas may be lost or start over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class StreamDiverged(Exception):
    """A later attempt differs from the text already sent, and a stream cannot take anything back."""


@dataclass(slots=True)
class ReportedText:
    """The text sent so far, and how much of it the current attempt has repeated.

    Deltas are live only, so some may be missing: `complete` adds them from the result. A stream that has missed deltas
    without knowing which calls `mark_unknown`: from then on nothing is compared, and nothing is added.
    """

    sent: str = ""
    _received: str = ""
    _attempt: int = 0
    _index: int = 0
    _is_whole: bool = True

    def add(self, attempt: int, data: Mapping[str, Any]) -> str:
        """The part of a delta that was not sent yet. Raises `StreamDiverged`."""
        if attempt != self._attempt:
            self._attempt, self._received, self._index = attempt, "", 0
        is_next = int(data["index"]) == self._index
        self._index = int(data["index"]) + 1
        if not is_next or not self._is_whole:
            # An earlier delta was lost. The rest of this attempt waits for the result, which has all of it.
            self._index = -1
            return ""
        self._received += str(data["text"])
        return self._advance(self._received)

    def mark_unknown(self) -> None:
        """The client has received text that is not known here."""
        self._is_whole = False

    def complete(self, text: str) -> str:
        """The part of the whole `text` that was not sent yet. Raises `StreamDiverged`."""
        return self._advance(text) if self._is_whole else ""

    def _advance(self, received: str) -> str:
        if len(received) <= len(self.sent):
            if not self.sent.startswith(received):
                raise StreamDiverged
            return ""
        if not received.startswith(self.sent):
            raise StreamDiverged
        new = received[len(self.sent) :]
        self.sent = received
        return new
