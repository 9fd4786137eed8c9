"""The text that a stream has told its client, kept in step with a job whose deltas may be lost or begin anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Retold(Exception):
    """A later attempt says something else than what was told already, and a stream cannot take anything back."""


@dataclass(slots=True)
class ToldText:
    """What was told, and how much of it the present attempt has said so far.

    Deltas are live only, so some may be missing: `complete` makes good for them from the result. Whoever has missed
    deltas that it cannot know of calls `lose`: from then on nothing is compared, and nothing is made good for.
    """

    told: str = ""
    _said: str = ""
    _attempt: int = 0
    _index: int = 0
    _is_whole: bool = True

    def hear(self, attempt: int, data: Mapping[str, Any]) -> str:
        """A delta: the part of it that has not been told. Raises `Retold`."""
        if attempt != self._attempt:
            self._attempt, self._said, self._index = attempt, "", 0
        is_next = int(data["index"]) == self._index
        self._index = int(data["index"]) + 1
        if not is_next or not self._is_whole:
            # Something before it was lost. The rest of this attempt waits for the result, which has all of it.
            self._index = -1
            return ""
        self._said += str(data["text"])
        return self._tell(self._said)

    def lose(self) -> None:
        """The client has been told what is not known here."""
        self._is_whole = False

    def complete(self, text: str) -> str:
        """What of the whole `text` has not been told. Raises `Retold`."""
        return self._tell(text) if self._is_whole else ""

    def _tell(self, said: str) -> str:
        if len(said) <= len(self.told):
            if not self.told.startswith(said):
                raise Retold
            return ""
        if not said.startswith(self.told):
            raise Retold
        new = said[len(self.told) :]
        self.told = said
        return new
