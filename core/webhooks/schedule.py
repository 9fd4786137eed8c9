"""When a message is retried: ten attempts over about three days (Standard Webhooks, "Deliverability")."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# From the creation, or from the end of the previous attempt, to this attempt.
DELAYS = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# A receiver may ask for a longer wait than the schedule's, up to this.
RETRY_AFTER_MAX = timedelta(hours=24)
# Later by up to a tenth, never earlier: deliveries that failed together are not retried together.
_JITTER = 0.1

Jitter = Callable[[], float]


def jitter() -> float:
    """The factor of a delay."""
    return random.uniform(1.0, 1.0 + _JITTER)  # noqa: S311 - not a secret


def next_delay(failures: int, retry_after: timedelta | None, spread: Jitter = jitter) -> timedelta | None:
    """The wait after the attempt that was the `failures`-th failure in a row; None when it was the last attempt.

    `retry_after` is the receiver's request: it lengthens the wait, and never shortens it.
    """
    if failures >= len(DELAYS):
        return None
    delay = DELAYS[failures] * spread()
    return delay if retry_after is None else max(delay, min(retry_after, RETRY_AFTER_MAX))


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait in a ``Retry-After`` header: seconds or a date (RFC 9110, section 10.2.3); None when unreadable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:10]), RETRY_AFTER_MAX.total_seconds()))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta(0))
