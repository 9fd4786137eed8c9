"""What the ledger refuses, and how Postgres says so."""

from typing import Any, ClassVar

import orjson
from sqlalchemy.exc import DBAPIError

from core.kit.errors import WaybillError

_BUDGET_EXHAUSTED = "WB402"


class BudgetExhausted(WaybillError):
    """No room for this in a budget, or under the job's own cap. `on_exhaustion` is ``fail`` or ``pause``."""

    status: ClassVar[int] = 402
    title: ClassVar[str] = "Budget exhausted"
    default_code: ClassVar[str] = "budget_exhausted"

    @property
    def on_exhaustion(self) -> str:
        """What the budget wants of a job that has begun."""
        return str(self.extra.get("on_exhaustion", "fail"))


def refusal_of(error: BaseException) -> BudgetExhausted | None:
    """The refusal that `error`, raised by a statement, stands for; None when it is another error."""
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    if getattr(cause, "sqlstate", None) != _BUDGET_EXHAUSTED:
        return None
    figures: dict[str, Any] = orjson.loads(cause.diag.message_detail)
    wanted, spent, reserved = figures["wanted_usd"], figures["spent_usd"], figures["reserved_usd"]
    if "cap_usd" in figures:
        detail = (
            f"the job may cost ${figures['cap_usd']} at most: ${spent} is spent, ${reserved} set aside, and the next"
            f" call may need ${wanted}; submit it again with a higher max_cost_usd"
        )
        return BudgetExhausted(detail, code="max_cost_reached", **figures)
    name, period = figures["name"], figures["period"]
    detail = (
        f"the budget {name!r} allows ${figures['limit_usd']} a {period}: ${spent} is spent, ${reserved} set aside for"
        f" running jobs, and this needs ${wanted}; raise its limit or wait for its next period"
        if period != "total"
        else f"the budget {name!r} allows ${figures['limit_usd']} in all: ${spent} is spent, ${reserved} set aside for"
        f" running jobs, and this needs ${wanted}; raise its limit"
    )
    return BudgetExhausted(detail, **figures)
