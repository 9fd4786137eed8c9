"""Errors about limits, and their conversion from errors of Postgres."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import psycopg
from sqlalchemy.exc import DBAPIError

from core.kit.clock import isoformat
from core.kit.errors import NotFound, PermissionDenied, RateLimited, WaybillError
from core.kit.ids import KEY, ORGANIZATION, PROJECT, encode
from core.kit.money import format_money
from core.limits.records import LimitKind, Scope

QUOTA_SQLSTATE = "WB403"
RATE_SQLSTATE = "WB429"
PREFIXES: dict[Scope, str] = {"organization": ORGANIZATION, "project": PROJECT, "key": KEY}

_COUNTED = {
    LimitKind.TOKENS_PER_MINUTE: "model tokens per minute",
    LimitKind.JOBS_PER_DAY: "jobs per day",
    LimitKind.JOBS_PER_MONTH: "jobs per month",
    LimitKind.TOKENS_PER_DAY: "model tokens per day",
    LimitKind.TOKENS_PER_MONTH: "model tokens per month",
    LimitKind.COST_PER_DAY: "US dollars per day",
    LimitKind.COST_PER_MONTH: "US dollars per month",
}


class QuotaExceeded(PermissionDenied):
    """A quota of the day or month (UTC) is used up.

    `extra` has the `limit` (scope, scope_id, kind, value), `used`, `period_start` and `resets_at`.
    """

    title, default_code = "Quota exceeded", "quota_exceeded"


class LimitNotFound(NotFound):
    """No such limit is set."""

    default_code = "limit_not_found"


def refusal_of(error: BaseException) -> WaybillError | None:
    """The error that `error` carries from Postgres, or None when it is about something else.

    `error` may come from a Session (SQLAlchemy's `DBAPIError`) or straight from psycopg.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error) or cause.sqlstate not in {QUOTA_SQLSTATE, RATE_SQLSTATE}:
        return None
    return _refusal(orjson.loads(cause.diag.message_detail or "{}"))


def format_value(kind: LimitKind, value: Decimal) -> int | str:
    """The JSON form of a value of that kind: US dollars as text, anything else as a whole number, rounded up."""
    return format_money(value) if kind.is_money else int(value.to_integral_value("ROUND_CEILING"))


def rate_limited(scope: str, scope_id: str, per_minute: int, retry_after_seconds: int) -> RateLimited:
    """The error for a request above a rate. `scope` is also ``person``, for a caller without a key."""
    limit = {"scope": scope, "scope_id": scope_id, "kind": LimitKind.REQUESTS_PER_MINUTE.value, "value": per_minute}
    return RateLimited(
        f"this {scope} may send {per_minute} requests per minute and has none left; wait {retry_after_seconds} s",
        retry_after_seconds=retry_after_seconds,
        limit=limit,
    )


def _refusal(detail: dict[str, Any]) -> WaybillError:
    kind, scope = LimitKind(detail["kind"]), detail["scope"]
    value, used = (format_value(kind, Decimal(detail[name])) for name in ("limit", "used"))
    limit = {
        "scope": scope,
        "scope_id": encode(PREFIXES[scope], UUID(detail["scope_id"])),
        "kind": kind.value,
        "value": value,
    }
    reached = f"the {scope}'s limit of {value} {_COUNTED[kind]} is used up ({used})"
    seconds = max(1, int(detail["retry_after_seconds"]))
    if kind is LimitKind.TOKENS_PER_MINUTE:
        return RateLimited(f"{reached}; wait {seconds} s", retry_after_seconds=seconds, limit=limit, used=used)
    resets = datetime.fromisoformat(detail["resets_at"]).astimezone(UTC)
    return QuotaExceeded(
        f"{reached}; it resets on {resets:%Y-%m-%d at %H:%M} UTC, unless an administrator raises it",
        limit=limit,
        used=used,
        period_start=isoformat(datetime.fromisoformat(detail["period_start"]).astimezone(UTC)),
        resets_at=isoformat(resets),
    )
