"""Cursors of listings: opaque to clients, so that what orders a listing may change."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from api.problem import invalid

_KIND = b"1"


def encode(last: UUID) -> str:
    """The cursor that continues after the item `last`."""
    return urlsafe_b64encode(_KIND + last.bytes).decode().rstrip("=")


def decode(cursor: str) -> UUID:
    """The item after which a page begins. Raises `Unprocessable` for what `encode` never made."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if raw[:1] == _KIND and encode(found := UUID(bytes=raw[1:])) == cursor:
            return found
    except ValueError:
        pass
    problem = {
        "path": "query.cursor",
        "code": "invalid_cursor",
        "message": "this is not a cursor of ours; pass next_cursor of the page before, unchanged",
    }
    raise invalid([problem])
