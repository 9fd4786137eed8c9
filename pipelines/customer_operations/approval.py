"""Asking a person before money moves."""

from collections.abc import Mapping
from typing import Any

from core.capability import JobContext
from pipelines._kit.tools.box import Approval, digest_call
from pipelines.customer_operations.schemas import RefundApproval

APPROVED = "approved"
DECLINED = "declined"
TIMED_OUT = "timed_out"


def ask_person(
    ctx: JobContext,
    key: str,
    call: Mapping[str, Any],
    *,
    currency: str,
    facts: Mapping[str, str],
    request: Mapping[str, Any],
    effect: str,
    timeout_seconds: int,
) -> tuple[str, Approval | None]:
    """`APPROVED` with the approval of exactly this call, `DECLINED` or `TIMED_OUT`. Suspends the job meanwhile.

    The person sees what the customer wrote (`request`), what the call does (`effect`), and the facts that it is due by.
    """
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
            "customer_words": request["words"],
            "effect": effect,
            "why": _why(call, facts),
            "facts": dict(facts),
        },
        timeout_seconds=timeout_seconds,
        approves="money",
    )
    if answer.timed_out or answer.value is None:
        return TIMED_OUT, None
    if answer.value.get("approved") is not True:
        return DECLINED, None
    digest = digest_call(str(call["operation"]), call["arguments"])
    return APPROVED, Approval(str(call["operation"]), amount, answer.answered_by or "unknown", digest)


def _why(call: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    """The row of the policy tables that the call follows from, and the days that it was judged by."""
    reason = call["arguments"].get("reason") or call["operation"]
    days = [f"{name} {facts[name]}" for name in ("promised", "attempted", "delivered") if name in facts]
    return ": ".join([f"policy row {reason}", ", ".join(days)] if days else [f"policy row {reason}"])
