"""List cursors. They are opaque to clients, so that the sort order may change."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from api.problem import invalid

_KIND = b"1"


def encode(last: UUID) -> str:
    """The cursor that continues after the item `last`."""
    return urlsafe_b64encode(_KIND + last.bytes).decode().rstrip("=")


def decode(cursor: str) -> UUID:
    """The item after which a page starts. Raises `Unprocessable` for a cursor that `encode` did not make."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if raw[:1] == _KIND and encode(found := UUID(bytes=raw[1:])) == cursor:
            return found
    except ValueError:
        pass
    problem = {
        "path": "query.cursor",
        "code": "invalid_cursor",
        "message": "this is not a valid cursor; pass the next_cursor of the previous page unchanged",
    }
    raise invalid([problem])


def decode_given(cursor: str | None) -> UUID | None:
    """The item after which a page starts; None without a cursor. Raises `Unprocessable`."""
    return None if cursor is None else decode(cursor)
