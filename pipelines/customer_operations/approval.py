"""Asking a person before money moves, or before something is done on the word of a text from outside."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.capability import JobContext
from core.guard.taint import Taint
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
    taints: Sequence[Taint] = (),
    timeout_seconds: int,
) -> tuple[str, Approval | None]:
    """`APPROVED` with the approval of exactly this call, `DECLINED` or `TIMED_OUT`. Suspends the job meanwhile.

    The person sees what the customer wrote (`request`), what the call does (`effect`), the facts that it is due by, and
    which arguments the customer's own words do not hold (`taints`).
    """
    amount = None if call["amount"] is None else str(call["amount"])
    order = facts.get("order", "without a number")
    what = f"{call['operation']} be done" if amount is None else f"{amount} {currency} be moved ({call['operation']})"
    answer = ctx.ask(
        key,
        f"May {what} for order {order}?",
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
            **({"from_outside": {each.argument: each.source.value for each in taints}} if taints else {}),
        },
        timeout_seconds=timeout_seconds,
        approves="write" if amount is None else "money",
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
