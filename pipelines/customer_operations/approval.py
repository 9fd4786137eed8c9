"""Asking a person before money moves."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, cast

from pydantic import BaseModel

from core.capability import JobContext
from pipelines._kit.tools.box import Approval
from pipelines.customer_operations.schemas import RefundApproval

APPROVED = "approved"
DECLINED = "declined"
TIMED_OUT = "timed_out"


class GivenAnswer(Protocol):
    """What a person answered."""

    @property
    def value(self) -> Any:
        """Obeys the schema; None when nobody answered in time."""

    @property
    def answered_by(self) -> str | None:
        """The key or person, as the audit trail names it."""

    @property
    def answered_at(self) -> datetime | None:
        """When."""

    @property
    def timed_out(self) -> bool:
        """Whether nobody answered in time."""


class Asks(Protocol):
    """The part of a job's context that asks a person."""

    def ask(
        self,
        key: str,
        question: str,
        schema: type[BaseModel] | Mapping[str, Any],
        *,
        details: Mapping[str, Any] | None = None,
        timeout_seconds: int = 86_400,
    ) -> GivenAnswer:
        """The answer, or `core.capability.JobSuspended` until there is one."""


def ask_person(
    ctx: JobContext, key: str, call: Mapping[str, Any], *, currency: str, facts: Mapping[str, str], timeout_seconds: int
) -> tuple[str, Approval | None]:
    """`APPROVED` with the approval of exactly this amount, `DECLINED` or `TIMED_OUT`. Suspends the job meanwhile."""
    amount = str(call["amount"])
    answer = cast("Asks", ctx).ask(
        key,
        f"May {amount} {currency} be moved ({call['operation']}) for order {facts.get('order', 'without a number')}?",
        RefundApproval,
        details={
            "operation": call["operation"],
            "amount": amount,
            "currency": currency,
            "arguments": dict(call["arguments"]),
            "facts": dict(facts),
        },
        timeout_seconds=timeout_seconds,
    )
    if answer.timed_out or answer.value is None:
        return TIMED_OUT, None
    value = answer.value if isinstance(answer.value, Mapping) else answer.value.model_dump()
    if value.get("approved") is not True:
        return DECLINED, None
    return APPROVED, Approval(str(call["operation"]), amount, answer.answered_by or "unknown")
