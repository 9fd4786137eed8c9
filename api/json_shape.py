"""Counts the values of a JSON text and measures its nesting, before any of them is created.

Four megabytes of ``{}`` are a million objects: creating them blocks the interpreter for seconds, on any thread. The
text is read in slices by a few calls that run at memory speed, and no further than the first limit.
"""

from core.kit.errors import BadRequest, PayloadTooLarge

MAX_DEPTH = 64
CONTAINERS_MAX = 50_000
VALUES_MAX = 400_000
_SLICE_BYTES = 64 * 1024
# The characters that give a text its structure; every other byte is dropped.
_DROPPED = bytes(set(range(256)) - set(b'"{}[],'))


def require_bounded(body: bytes) -> None:
    """Raise `PayloadTooLarge` above 50,000 objects and lists or 400,000 values, `BadRequest` below 64 levels.

    Invalid JSON may pass. Takes about as long as parsing, in steps that never block the interpreter for long.
    """
    depth = containers = commas = 0
    is_in_string = False
    begin = 0
    while begin < len(body):
        end = _end_of_slice(body, begin)
        pieces = _skeleton(body[begin:end]).split(b'"')
        outside = b"".join(pieces[is_in_string::2])
        is_in_string ^= len(pieces) % 2 == 0
        depth = _deepen(depth, outside)
        containers += outside.count(b"{") + outside.count(b"[")
        commas += outside.count(b",")
        if containers > CONTAINERS_MAX:
            raise PayloadTooLarge(f"the body holds more than {CONTAINERS_MAX:,} objects and lists")
        if containers + commas > VALUES_MAX:
            raise PayloadTooLarge(f"the body holds more than {VALUES_MAX:,} values")
        begin = end


def _end_of_slice(body: bytes, begin: int) -> int:
    """Where a slice ends, never between a backslash and what it escapes."""
    end = min(begin + _SLICE_BYTES, len(body))
    piece = body[begin:end]
    is_cut = end < len(body) and (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1
    return end - 1 if is_cut else end


def _skeleton(piece: bytes) -> bytes:
    if b"\\" in piece:
        piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
    return piece.translate(None, _DROPPED)


def _deepen(depth: int, outside: bytes) -> int:
    """The depth after `outside`, which starts at `depth`. Raises `BadRequest` where it is too great."""
    if depth + outside.count(b"{") + outside.count(b"[") <= MAX_DEPTH:
        return depth + outside.count(b"{") + outside.count(b"[") - outside.count(b"}") - outside.count(b"]")
    for byte in outside:
        if byte in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels", code="nesting_too_deep")
        elif byte in b"}]":
            depth -= 1
    return depth
