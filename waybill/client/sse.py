"""The server-sent events wire format (WHATWG HTML, "9.2.6 Interpreting an event stream"), decoded incrementally."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event. `id` is the last event id the stream has named so far, "" before the first."""

    event: str
    data: str
    id: str


class Decoder:
    """Turns arbitrary slices of bytes into events. Keeps what a resume needs: `last_id` and `retry_seconds`.

    Only LF, CR and CRLF end a line. `str.splitlines`, and so `httpx.Response.iter_lines`, also breaks at U+2028 and
    friends, which may stand unescaped inside JSON and would cut an event in two.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry_seconds: float | None = None
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._pending = ""
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events completed by `chunk`. Bytes of an unfinished event are kept for the next call."""
        self._pending += self._utf8.decode(chunk)
        for line in self._lines():
            found = self._line(line)
            if found is not None:
                yield found

    def decode(self, chunks: Iterable[bytes]) -> Iterator[ServerSentEvent]:
        """The events of a whole stream; an event the end cuts off is dropped, as the format demands."""
        for chunk in chunks:
            yield from self.feed(chunk)

    def _lines(self) -> Iterator[str]:
        text, start = self._pending, 0
        # A CR at the very end may be the first half of a CRLF: the next chunk will tell.
        stop = len(text) - text.endswith("\r")
        for ending in _LINE_END.finditer(text, 0, stop):
            yield text[start : ending.start()]
            start = ending.end()
        self._pending = text[start:]

    def _line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_seconds = int(value) / 1000
            case _:
                pass  # a comment (its name is empty) or a field from the future
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        self.last_id = self._id
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return ServerSentEvent(event, "\n".join(data), self.last_id) if data else None
