"""A person's approval of one exact call: what it is bound to, how it is requested, and whether it is still valid.

The key of the question names the call: it ends in a digest of the job's call, its arguments, the tool's schema, and the
rules that it was judged by. So any change leads to another question, and an answer never fits a call that the approver
was not shown. The answer, its author and its time are read from Postgres again when the call is made, never from a
graph's state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.capability import JobContext
from core.guard.taint import Taint
from core.kit.errors import CapabilityFailure
from pipelines._kit.tools.client import OfferedTool
from pipelines._kit.tools.policies import ToolPolicy, digest

# The call may be made with an approval that fits its current state.
ASK_AGAIN = frozenset({"tool_approval_missing", "tool_approval_stale"})
_CALL_MAX = 80
# Of the digest in a key that people read and type: 128 bits.
_DIGEST_SIGNS = 32


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's approval: the key of the question that it answers, and who gave it."""

    question: str
    approved_by: str


class CallApproval(BaseModel):
    """What a person answers when money is to be moved, or something done on the word of a text from outside."""

    model_config = ConfigDict(extra="forbid")

    approved: bool = Field(description="Whether it may be done.")
    note: str | None = Field(None, max_length=1000, description="Why; kept with the job, not sent to the customer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One exact call: `name` is its idempotency key, `rules` the version of the capability's own rules."""

    policy: ToolPolicy
    name: str
    call: str
    arguments: Mapping[str, Any]
    offered: OfferedTool | None
    rules: str

    @property
    def question(self) -> str:
        """The key of the question for this call as it is now."""
        offered = self.offered
        bound = {
            "name": self.name,
            "operation": self.policy.operation,
            "arguments": self.arguments,
            "schema": None if offered is None else [offered.arguments, offered.answer],
            "policy": self.policy.version,
            "rules": self.rules,
        }
        return f"approve-{_printable(self.call)}-{digest(bound)[:_DIGEST_SIGNS]}"


def ask(
    ctx: JobContext,
    binding: Binding,
    question: str,
    *,
    details: Mapping[str, Any],
    taints: Sequence[Taint] = (),
    timeout_seconds: int,
    before: Approval | None = None,
) -> Approval | bool | None:
    """The approval of the call, False when it was declined, None when no one answered in time.

    Suspends the job meanwhile. `before` is an approval of the same call that is no longer valid.
    """
    key = binding.question
    if before is not None and (before.question == key or before.question.startswith(f"{key}-")):
        again = before.question.removeprefix(key).removeprefix("-")
        key = f"{key}-{int(again or 1) + 1}"
    answer = ctx.ask(
        key,
        question,
        CallApproval,
        details={
            **details,
            "policy_version": binding.policy.version[:12],
            "valid_seconds": binding.policy.approval_valid_seconds,
            **({"from_outside": {each.argument: each.source.value for each in taints}} if taints else {}),
        },
        timeout_seconds=timeout_seconds,
        approves="money" if binding.policy.amount_argument else "write",
    )
    if answer.timed_out or answer.value is None:
        return None
    if answer.value.get("approved") is not True:
        return False
    return Approval(key, answer.answered_by or "unknown")


def require(ctx: JobContext, binding: Binding, approval: Approval) -> str:
    """The digest of the approval, with the approver and its expiry, for the record.

    Raises `CapabilityFailure`: ``tool_approval_stale`` when it does not cover the call as it is now, and the failures
    of `core.capability.JobContext.approval`.
    """
    key = binding.question
    if approval.question != key and not approval.question.startswith(f"{key}-"):
        raise _stale(binding, "the call, the tool or the rules are not what was approved")
    given = ctx.approval(approval.question)
    if given is None or given.value.get("approved") is not True or given.approved_by != approval.approved_by:
        raise _stale(binding, "there is no such approval")
    if given.lapsed is not None:
        raise _stale(binding, f"who approved it may not do so any more ({given.lapsed})")
    until = given.given_at + timedelta(seconds=binding.policy.approval_valid_seconds)
    if given.read_at > until:
        raise _stale(binding, "it has expired")
    return digest([approval.question, given.approved_by, until.isoformat()])


def _stale(binding: Binding, why: str) -> CapabilityFailure:
    return CapabilityFailure(
        f"the approval of {binding.policy.operation[:60]} does not hold: {why}", code="tool_approval_stale"
    )


def _printable(call: str) -> str:
    return "".join(sign if "!" <= sign <= "~" else "_" for sign in call[:_CALL_MAX])
