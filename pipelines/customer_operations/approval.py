"""Asks a person before money moves, or before something is done because of text from outside."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.capability import JobContext
from core.guard.taint import Taint
from pipelines._kit.tools import approvals
from pipelines._kit.tools.approvals import Approval, Binding


def ask_person(
    ctx: JobContext,
    binding: Binding,
    call: Mapping[str, Any],
    *,
    currency: str,
    facts: Mapping[str, str],
    request: Mapping[str, Any],
    effect: str,
    taints: Sequence[Taint] = (),
    timeout_seconds: int,
    before: Approval | None = None,
) -> Approval | bool | None:
    """The approval of exactly this call, False when declined, None when no one answered in time. Suspends the job.

    The person sees what the customer wrote (`request`), what the call does (`effect`), the facts that justify it, and
    which arguments the customer's own words do not hold (`taints`). `before` is an approval that is no longer valid.
    """
    amount = None if call["amount"] is None else str(call["amount"])
    order = facts.get("order", "without a number")
    what = f"{call['operation']} be done" if amount is None else f"{amount} {currency} be moved ({call['operation']})"
    return approvals.ask(
        ctx,
        binding,
        f"May {what} for order {order}?",
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
        taints=taints,
        timeout_seconds=timeout_seconds,
        before=before,
    )


def _why(call: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    """The row of the policy tables that the call follows from, and the days that it was judged by."""
    reason = call["arguments"].get("reason") or call["operation"]
    days = [f"{name} {facts[name]}" for name in ("promised", "attempted", "delivered") if name in facts]
    return ": ".join([f"policy row {reason}", ", ".join(days)] if days else [f"policy row {reason}"])
