"""When to ask again, and how long to wait: exponential backoff with jitter.

The scheme is "equal jitter" of Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: clients
that failed together must not come back together.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_jitter = random.SystemRandom()


def backoff_seconds(first_seconds: float, cap_seconds: float) -> Iterator[float]:
    """Delays without end, each between half a bound and the bound, which doubles up to `cap_seconds`."""
    bound = first_seconds
    while True:
        yield _jitter.uniform(bound / 2, bound)
        bound = min(bound * 2, cap_seconds)


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """The seconds asked for by a ``Retry-After`` header, a number or a date (RFC 9110, 10.2.3); None if unreadable."""
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
