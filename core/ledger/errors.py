"""Errors about money, and their conversion from errors of Postgres."""

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import psycopg
from sqlalchemy.exc import DBAPIError

from core.kit.errors import Conflict, NotFound, WaybillError
from core.kit.ids import BUDGET, encode
from core.kit.money import format_money
from core.ledger.records import OnExhaustion

SQLSTATE = "WB402"


class BudgetExhausted(WaybillError):
    """A hard budget, or the job's own cap, has no room.

    `extra` names the budget (its id and name; null for the cap), `limit`, `spent`, `reserved` and `wanted` in US
    dollars, and `on_exhaustion`: whether a running job should ``fail`` or ``pause``.
    """

    status, title, default_code = 402, "Budget exhausted", "budget_exhausted"

    @property
    def on_exhaustion(self) -> OnExhaustion:
        """What the budget requires for a running job."""
        return "pause" if self.extra.get("on_exhaustion") == "pause" else "fail"


class BudgetNotFound(NotFound):
    """No such budget in the caller's organization."""

    default_code = "budget_not_found"


class BudgetArchived(Conflict):
    """The budget is archived: it no longer counts and cannot be changed."""

    default_code = "budget_archived"


class BudgetNameTaken(Conflict):
    """The organization already has a budget of that name."""

    default_code = "budget_name_taken"


def refusal_of(error: BaseException) -> WaybillError | None:
    """The error that `error` carries from Postgres, or None when it is about something else.

    `error` may come from a Session (SQLAlchemy's `DBAPIError`) or straight from psycopg.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error) or cause.sqlstate != SQLSTATE:
        return None
    return exhausted(orjson.loads(cause.diag.message_detail or "{}"))


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Raises Postgres errors about money in the block as `BudgetExhausted`; passes all others on."""
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from error


def exhausted(detail: dict[str, Any]) -> BudgetExhausted:
    """The error that `detail` describes: of a budget or, with ``cap_usd``, of the job's own cap."""
    spent, reserved, wanted = (_money(detail, name) for name in ("spent_usd", "reserved_usd", "wanted_usd"))
    if "cap_usd" in detail:
        limit = _money(detail, "cap_usd")
        message = (
            f"this job may cost at most ${limit} (max_cost_usd): ${spent} is spent, ${reserved} is reserved for"
            f" running calls, and ${wanted} more is needed; submit it with a higher max_cost_usd"
        )
        budget, name = None, None
    else:
        limit, name = _money(detail, "limit_usd"), detail["name"]
        budget = encode(BUDGET, UUID(detail["budget_id"]))
        needed = f", and ${wanted} more is needed" if Decimal(detail["wanted_usd"]) else ""
        message = (
            f"the budget {name!r} ({detail['scope']}, {_PERIODS[detail['period']]}) is exhausted: ${spent} of ${limit}"
            f" is spent and ${reserved} is reserved{needed}; raise its limit, or wait until jobs end"
            f"{_UNTIL[detail['period']]}"
        )
    return BudgetExhausted(
        message,
        budget=budget,
        name=name,
        limit=limit,
        spent=spent,
        reserved=reserved,
        wanted=wanted,
        on_exhaustion=detail["on_exhaustion"],
    )


_PERIODS = {"day": "per day", "month": "per month", "total": "in total"}
_UNTIL = {"day": " or the next day begins (UTC)", "month": " or the next month begins (UTC)", "total": ""}


def _money(detail: dict[str, Any], name: str) -> str:
    return format_money(Decimal(detail[name]))
