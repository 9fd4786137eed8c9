"""How values look on a page: times, durations, money, numbers, bytes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SMALL_USD = Decimal("0.01")
_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


def absolute(moment: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def relative(moment: datetime, now: datetime) -> str:
    """How long ago, or until when, in one unit: ``12 s ago``, ``in 3 min``."""
    seconds = (now - moment).total_seconds()
    short = duration(timedelta(seconds=abs(seconds)), units=1)
    if abs(seconds) < 1:
        return "now"
    return f"{short} ago" if seconds > 0 else f"in {short}"


def duration(length: timedelta | float, units: int = 2) -> str:
    """A length of time in its largest units: ``340 ms``, ``1.2 s``, ``3 min 5 s``, ``2 d 4 h``."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if units > 1 and seconds < 10 else f"{int(seconds)} s"  # noqa: PLR2004 - one digit
    whole = int(seconds)
    parts = [(whole // _DAY, "d"), (whole % _DAY // _HOUR, "h"), (whole % _HOUR // _MINUTE, "min"), (whole % 60, "s")]
    first = next(at for at, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + units] if count)


def usd(amount: Decimal | str | None) -> str:
    """An amount of dollars: cents for large ones, the first digits that count for small ones."""
    if amount is None:
        return "not priced"
    value = Decimal(amount)
    if value == 0:
        return "$0.00"
    if abs(value) >= _SMALL_USD:
        return f"{'-' if value < 0 else ''}${abs(value):,.2f}"
    digits = min(12, -value.adjusted() + 1)
    return f"{'-' if value < 0 else ''}${abs(value):.{digits}f}"


def size(count: int) -> str:
    """A number of bytes, in the largest unit that leaves one digit before the point."""
    value = float(count)
    for unit in _UNITS[:-1]:
        if value < _STEP:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"  # noqa: PLR2004
        value /= _STEP
    return f"{value:.1f} {_UNITS[-1]}"


def trace_id(traceparent: str | None) -> str | None:
    """The trace that a W3C traceparent names."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 - its four fields
