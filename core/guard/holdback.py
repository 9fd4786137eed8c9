"""Streams that hold text back until its meaning is certain: a token to restore, or a value that must not leave.

Text is released only when no continuation can change its meaning. Text still held when the stream breaks off is
dropped.
"""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from core.guard.escapes import ESCAPED_CHARACTERS
from core.guard.records import Action, Decision
from core.guard.redaction import Namer, redact
from core.guard.rewriting import clipped, clusters
from core.guard.tokens import FORMING, TOKEN, Token, token_of

# The longest value that can still be forming at the end of the received text, in characters. As much released text is
# kept as context, because a recognizer reads the text around a value.
HOLD_CHARACTERS = 256
# Released in units of this size, so that a stream of single words is not screened word by word.
STEP_CHARACTERS = 128
# A run without white space, such as a key or a session token, is released whole, unless it is longer than this.
RUN_CHARACTERS = 8_192
_SPACE = re.compile(r"\s")


class Restorer:
    """Replaces tokens with values in a stream that comes in pieces of any length.

    `value` maps a token to its value; None for a foreign token, which stays unchanged.
    """

    def __init__(self, value: Callable[[Token], str | None]) -> None:
        self._value = value
        self._held = ""

    def feed(self, text: str) -> str:
        """Add a piece; returns text that is safe to show. Holds back as long as a token could still be forming."""
        text = self._held + text
        forming = FORMING.search(text, max(0, len(text) - _TOKEN_CHARACTERS))
        end = len(text) if forming is None else forming.start()
        self._held = text[end:]
        return self._restored(text[:end])

    def end(self) -> str:
        """The text still held, which did not become a token."""
        held, self._held = self._held, ""
        return held

    def _restored(self, text: str) -> str:
        def restore(found: "re.Match[str]") -> str:
            value = self._value(token_of(found))
            return found[0] if value is None else value

        return TOKEN.sub(restore, text)


# A kind of forty characters, nine digits, and the delimiters.
_TOKEN_CHARACTERS = 52


class Screen(Protocol):
    """Decides about a text. Raises `core.kit.errors.CapabilityFailure` when it is blocked or cannot be screened."""

    def __call__(self, text: str) -> Sequence[Decision]:
        """The action for each finding."""


class RedactingStream:
    """Redacts a stream that comes in pieces of any length; the output equals redacting all of it at once.

    Every value is seen whole, with its context, whatever the pieces are. When `screen` raises, none of the held text
    is released, then or later.
    """

    def __init__(self, screen: Screen, name: Namer, *, hold: int = HOLD_CHARACTERS) -> None:
        self._screen = screen
        self._name = name
        self._hold = hold
        # The end of the released text, before its redaction.
        self._context = ""
        self._held = ""
        # The length at which it is screened again.
        self._due = hold + STEP_CHARACTERS
        # Whether the text up to the next white space is the rest of a value that was too long to hold.
        self._is_rest = False
        self._is_broken = False

    def feed(self, text: str) -> str:
        """Add a piece; returns text that may leave. Raises the exceptions of `screen`."""
        if self._is_broken:
            return ""
        self._held += text
        self._skip_rest()
        if len(self._held) < self._due:
            return ""
        free = len(self._held) - self._longest()
        if free < STEP_CHARACTERS:
            return ""
        released = self._release(self._boundary(free))
        self._due = len(self._held) + STEP_CHARACTERS
        return released

    def end(self) -> str:
        """All held text, screened: the stream has ended."""
        return self._release(len(self._held))

    def drop(self) -> None:
        """Discard held text after the stream has broken off."""
        self._is_broken = True
        self._held = ""

    def _longest(self) -> int:
        """The maximum length of a value still forming: escaped JSON letters make it longer as written than decoded."""
        return self._hold * ESCAPED_CHARACTERS if "\\u" in self._held else self._hold

    def _boundary(self, free: int) -> int:
        """The last white space in the first `free` characters: 0 when there is none, so that no word is cut."""
        place = next((at for at in range(free, 0, -1) if _SPACE.match(self._held[at - 1])), 0)
        return free if place == 0 and free > RUN_CHARACTERS else place

    def _release(self, end: int) -> str:
        if self._is_broken or end == 0:
            return ""
        try:
            decisions = self._screen(self._context + self._held)
        except BaseException:
            self.drop()
            raise
        start = len(self._context)
        values = clusters([each for each in decisions if each.action is Action.REDACT])
        for value in values:
            # No value is cut, unless it exceeds the maximum length: then it is released before its end.
            if start <= value.start < start + end < value.end and len(self._held) <= RUN_CHARACTERS:
                end = value.start - start
        out: list[str] = []
        at = 0
        for value in values:
            begins, ends = value.start - start, min(value.end - start, end)
            if ends <= at or begins >= end:
                continue
            if begins < at or ends < value.end - start:
                # A part of it was released before, or will be later.
                begins = max(begins, at)
                inside = clipped(value, ends - begins)
            else:
                inside = value.inside
            out += (self._held[at:begins], redact(self._held[begins:ends], inside, self._name))
            at = ends
        out.append(self._held[at:end])
        self._context = (self._context + self._held[:end])[-self._longest() :]
        self._held = self._held[end:]
        self._is_rest = any(value.start < start + end < value.end for value in values)
        self._skip_rest()
        return "".join(out)

    def _skip_rest(self) -> None:
        if self._is_rest:
            space = _SPACE.search(self._held)
            self._held = "" if space is None else self._held[space.start() :]
            self._is_rest = space is None
