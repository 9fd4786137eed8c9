"""Messages on a pipe: a length in eight bytes, big-endian, then that many bytes."""

import struct
from collections.abc import Callable

_LENGTH = struct.Struct(">Q")
_PIECE = 1 << 20


class FrameTooLong(ValueError):
    """The other side announced a message longer than the limit."""


def pack(body: bytes) -> bytes:
    """`body` as a message."""
    return _LENGTH.pack(len(body)) + body


def read(source: Callable[[int], bytes], most: int) -> bytes | None:
    """The next message from ``source(size)``, or None at the end of the stream.

    Raises `FrameTooLong` before it reads any of a message with more than `most` bytes.
    """
    head = _read_exactly(source, _LENGTH.size)
    if head is None:
        return None
    length: int = _LENGTH.unpack(head)[0]
    if length > most:
        raise FrameTooLong(f"{length} bytes, at most {most}")
    return _read_exactly(source, length)


def _read_exactly(source: Callable[[int], bytes], size: int) -> bytes | None:
    pieces: list[bytes] = []
    missing = size
    while missing:
        piece = source(min(missing, _PIECE))
        if not piece:
            return None
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
