"""The one source of time in Python. Leases, deadlines and schedules compare against the database's clock instead."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)


def require_aware(moment: datetime) -> datetime:
    """Return `moment` in UTC. Raises ValueError when it carries no time zone."""
    if moment.tzinfo is None:
        message = "the time has no zone; add one, for example a trailing Z"
        raise ValueError(message)
    return moment.astimezone(UTC)


def isoformat(moment: datetime) -> str:
    """RFC 3339 with a trailing Z and microseconds, the one form in which the API writes times."""
    return require_aware(moment).isoformat(timespec="microseconds").replace("+00:00", "Z")
