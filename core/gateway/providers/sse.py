"""Parses a model's answer from bytes: a stream of events, one object, objects line by line, or no answer.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, parsed leniently: an event
at the end needs no blank line, and invalid UTF-8 becomes U+FFFD.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from core.gateway.providers import failures
from core.gateway.providers.json_reading import read_json

# A whole unstreamed answer is one event; a stream's events are a few hundred bytes.
MAX_EVENT_BYTES = 16 * 1024 * 1024
MAX_ANSWER_BYTES = 128 * 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIELDS = (b"data", b"event", b"id", b"retry", b"")


def read_events(pieces: Iterable[bytes]) -> Iterator[Any]:
    """The JSON value of each event, to the end or to ``[DONE]``.

    Raises `core.gateway.errors.BadResponse` for invalid JSON, for a page instead of an answer, and for more bytes than
    an answer can have.
    """
    pieces = iter(pieces)
    head = b""
    for piece in pieces:
        head = (head + piece).removeprefix(_BYTE_ORDER_MARK).lstrip()
        # Three bytes may be the start of a byte-order mark.
        if len(head) > len(_BYTE_ORDER_MARK):
            break
    pieces = chain((head,), pieces)
    if head.startswith((b"{", b"[")):
        yield from _read_whole(pieces)
    elif head.startswith(b"<"):
        raise failures.no_answer()
    else:
        for data in _data_of(pieces):
            if data.startswith(b"[DONE]"):
                return
            if data.strip():
                yield _value(data)


def _read_whole(pieces: Iterator[bytes]) -> Iterator[Any]:
    """Parse the response of a server that ignores ``stream``: one object, or one object per line."""
    body = bytearray()
    for piece in pieces:
        body += piece
        _require_bounded(len(body), MAX_EVENT_BYTES)
    text = bytes(body).decode(errors="replace")
    try:
        yield read_json(text)
    except ValueError:
        yield from [_value(line.encode()) for line in text.split("\n") if line.strip()]


def _data_of(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The data of each event of a stream. Raises `BadResponse` when it contains no event."""
    data: list[bytes] = []
    size = 0
    is_stream = has_more = False
    for line in _lines(pieces):
        name, _, value = line.partition(b":")
        if not line and data:
            yield b"\n".join(data)
            data, size = [], 0
        elif line and name in _FIELDS:
            is_stream = True
            if name == b"data":
                data.append(value.removeprefix(b" "))
                size += len(value)
                _require_bounded(size, MAX_EVENT_BYTES)
        elif line:
            has_more = True
    if data:
        yield b"\n".join(data)
    if has_more and not is_stream:
        raise failures.no_answer()


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their ends, each as soon as its end has arrived."""
    rest: list[bytes] = []
    size = total = 0
    was_return = False
    for piece in pieces:
        total += len(piece)
        _require_bounded(total, MAX_ANSWER_BYTES)
        new = piece[1:] if was_return and piece.startswith(b"\n") else piece
        was_return = piece.endswith(b"\r") if piece else was_return
        for line in new.splitlines(keepends=True):
            rest.append(line)
            if line.endswith((b"\n", b"\r")):
                yield b"".join(rest).rstrip(b"\r\n")
                rest, size = [], 0
            else:
                size += len(line)
                _require_bounded(size, MAX_EVENT_BYTES)
    if rest:
        yield b"".join(rest)


def _value(data: bytes) -> Any:
    try:
        return read_json(data.decode(errors="replace"))
    except ValueError:
        failure = failures.not_the_protocol()
    # Outside the handler: the parser's error holds the provider's words.
    raise failure


def _require_bounded(size: int, most: int) -> None:
    if size > most:
        raise failures.not_the_protocol(f"more than {most} bytes")
