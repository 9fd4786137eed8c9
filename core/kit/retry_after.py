"""How long a server that is overloaded, or limits our rate, asked not to be called."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_SECONDS = 3600.0
# Headers of exhausted limits, as OpenAI, Azure, Anthropic and the IETF's draft name them, each with its remainder.
_RESETS = (
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
    ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("ratelimit-reset", "ratelimit-remaining"),
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
# Larger numbers are timestamps: seconds, or milliseconds, since 1970.
_EPOCH, _EPOCH_MS = 1e9, 1e12


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds from `now`, at most an hour; None when the headers ask for no wait. Header names are in lower case.

    Reads ``retry-after-ms``, ``Retry-After`` as seconds or as a date (RFC 9110, section 10.2.3), and when both are
    missing, the resets of the exhausted rate limits.
    """
    exact = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(exact):
        return min(float(exact) / 1000, MAX_SECONDS)
    asked = _seconds(headers.get("retry-after", ""), now)
    if asked is None:
        spent = [
            seconds
            for reset, left in _RESETS
            if headers.get(left, "0").strip() in {"", "0"} and (seconds := _seconds(headers.get(reset, ""), now))
        ]
        asked = max(spent, default=None)
    return None if asked is None else min(max(asked, 0.0), MAX_SECONDS)


def _seconds(value: str, now: datetime) -> float | None:
    text = value.strip()[:64]
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number >= _EPOCH_MS:
            number /= 1000
        return number - now.timestamp() if number >= _EPOCH else number
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    moment = _moment(text)
    return None if moment is None else (moment - now).total_seconds()


def _moment(text: str) -> datetime | None:
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
