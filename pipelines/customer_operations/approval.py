"""Asking a person before money moves."""

from collections.abc import Mapping
from typing import Any

from core.capability import JobContext
from pipelines._kit.tools.box import Approval
from pipelines.customer_operations.schemas import RefundApproval

APPROVED = "approved"
DECLINED = "declined"
TIMED_OUT = "timed_out"


def ask_person(
    ctx: JobContext, key: str, call: Mapping[str, Any], *, currency: str, facts: Mapping[str, str], timeout_seconds: int
) -> tuple[str, Approval | None]:
    """`APPROVED` with the approval of exactly this amount, `DECLINED` or `TIMED_OUT`. Suspends the job meanwhile."""
    amount = str(call["amount"])
    answer = ctx.ask(
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
        approves="money",
    )
    if answer.timed_out or answer.value is None:
        return TIMED_OUT, None
    if answer.value.get("approved") is not True:
        return DECLINED, None
    return APPROVED, Approval(str(call["operation"]), amount, answer.answered_by or "unknown")
