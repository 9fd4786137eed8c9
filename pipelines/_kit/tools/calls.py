"""Calls of tools within one step of a job.

Every call is announced (``tool.called``), reported (``tool.finished``) and audited with a digest of its arguments. Its
idempotency key is ``job:step:call``, so a killed and resumed job repeats the call under the same key, and the system
behind the tool gives the same answer again. Announcing a call is a fenced write: an attempt that lost its lease reaches
no tool.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from time import perf_counter
from typing import Any

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.capability import JobContext
from core.jobs.effects.repository import StoredEffect
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.metrics.effects import observe_tool_call
from pipelines._kit.tools.answers import AnswerReaders
from pipelines._kit.tools.client import OfferedTool, ToolClient
from pipelines._kit.tools.effects import EffectLog, Intent
from pipelines._kit.tools.exchange import Exchange
from pipelines._kit.tools.outcomes import ToolOutcome
from pipelines._kit.tools.policies import Effect, ReadBack, ToolPolicy, digest


class ToolCalls:
    """Makes the calls of `step`. `find_policy` finds the tool of an operation, `readers` check its answers."""

    def __init__(
        self,
        ctx: JobContext,
        client: ToolClient,
        step: str,
        find_policy: Callable[[str], ToolPolicy],
        readers: AnswerReaders,
    ) -> None:
        self.ctx = ctx
        self.client = client
        self.step = step
        self.find_policy = find_policy
        self.readers = readers
        self.effects = EffectLog(ctx)

    def name(self, call: str, step: str | None = None) -> str:
        """The idempotency key of a call."""
        return f"{encode(JOB, self.ctx.job_id)}:{step or self.step}:{call}"

    def offered(self, policy: ToolPolicy) -> OfferedTool | None:
        """The tool as its server lists it now. Raises `CapabilityFailure` when the server cannot be reached."""
        return Exchange(self.ctx, self.client, policy, self.readers).offered()

    def intend(self, policy: ToolPolicy, arguments: Mapping[str, Any], call: str, amount: Decimal | None) -> Intent:
        """Prepare the call without making it."""
        described = {
            "operation": policy.operation,
            "tool": policy.tool,
            "server": policy.server.name,
            "effect": policy.effect.value,
            "call": call,
            "amount": None if amount is None else str(amount),
            "currency": policy.currency,
        }
        return Intent(policy, f"{self.step}:{call}", arguments, digest(arguments), described)

    def find(self, intent: Intent) -> StoredEffect | None:
        """The record of the call from an earlier attempt; None for a call without effect."""
        return None if intent.policy.effect is Effect.READ else self.effects.find(intent)

    def carry_out(
        self,
        intent: Intent,
        stored: StoredEffect | None = None,
        *,
        may_call: bool = True,
        approved_by: str | None = None,
        approval: str | None = None,
    ) -> ToolOutcome:
        """Make the call, or find out the outcome of one that an earlier attempt started (`stored`).

        `approval` is the digest of what `approved_by` agreed to. Raises the exceptions of `Exchange.answer` and
        `EffectLog.find_out`.
        """
        policy = intent.policy
        if stored is not None and stored.outcome is not None:
            return ToolOutcome(**stored.outcome)
        if policy.data_class is not None:
            self.ctx.raise_class(policy.data_class, because=f"tool {policy.tool}")
        call = _Call(self, intent, approved_by, approval)
        while True:
            found = None
            if stored is not None:
                found = self.effects.find_out(
                    intent, stored, may_call=may_call, read=call.look_up, wait=call.exchange.wait
                )
            if found is None:
                found = call.make(stored)
            if found["status"] == "unknown" and found["code"] != "outcome_unknown":
                stored = self.effects.find(intent)
                continue
            return call.end(found)


class _Call:
    """One call, from its announcement to its receipt."""

    def __init__(self, calls: ToolCalls, intent: Intent, approved_by: str | None, approval: str | None) -> None:
        policy = intent.policy
        self._calls = calls
        self._ctx = calls.ctx
        self._effects = calls.effects
        self._intent = intent
        self._approval = approval
        self._described = {**intent.shown, "approved_by": approved_by}
        self._is_effect = policy.effect is not Effect.READ
        self.exchange = Exchange(calls.ctx, calls.client, policy, calls.readers)
        given = {policy.arguments.get(name, name): value for name, value in intent.arguments.items()}
        given = {name: value for name, value in given.items() if value is not None}
        shown, self._restored = calls.ctx.for_tool(given, exempt=policy.receives)
        self._sent, self._digest = dict(shown), digest(shown)
        if policy.idempotency_argument is not None:
            self._sent[policy.idempotency_argument] = calls.name(intent.shown["call"])

    def make(self, stored: StoredEffect | None) -> dict[str, Any]:
        """Announce the call, write its intent, and return the answer: status, result, code, message."""
        policy = self._intent.policy
        named = {name: self._intent.shown[name] for name in ("tool", "server", "effect", "call")}
        self._ctx.emit("tool.called", {**named, "arguments_digest": f"sha256:{self._digest}"})
        if self._is_effect:
            with self._ctx.transaction() as session:
                self._effects.begin(session, self._intent, stored)
                self._audit(session, "called")
        began = perf_counter()
        status, code = "unknown", None
        try:
            found: dict[str, Any] = self._restored(self.exchange.answer(self._sent, named["call"]))
            status, code = found["status"], found.get("code")
        except CapabilityFailure as failure:
            status, code = "failed", failure.code
            raise
        finally:
            observe_tool_call(policy.server.name, policy.tool, status, perf_counter() - began)
            if status in {"unknown", "failed"}:
                self._broke_off(status, code)
        finished = {"status": status, "duration_ms": round((perf_counter() - began) * 1000, 1)}
        self._ctx.emit("tool.finished", {**named, **finished, **({"code": code} if code else {})})
        return found

    def look_up(self, how: ReadBack) -> dict[str, Any] | None:
        """The answer of the operation that knows whether the effect has happened; None when it refuses."""
        given = {name: self._intent.arguments.get(source) for name, source in how.arguments.items()}
        reading = self._calls.intend(
            self._calls.find_policy(how.operation), given, f"look-up-{self._intent.shown['call']}", None
        )
        answer = self._calls.carry_out(reading)
        return answer.result if answer.status == "done" else None

    def end(self, found: Mapping[str, Any]) -> ToolOutcome:
        """Write the receipt."""
        outcome = ToolOutcome(**self._described, **found)
        with self._ctx.transaction() as session:
            if self._is_effect:
                self._effects.settle(session, self._intent, outcome.plain())
            self._audit(session, outcome.status, outcome.code)
        return outcome

    def _broke_off(self, status: str, code: str | None) -> None:
        """Record that the call may have happened, also when the attempt is cut off in the middle."""
        with self._ctx.transaction() as session:
            may_be_done = self._is_effect and self.exchange.may_be_done
            self._audit(session, "unknown" if may_be_done else status, code)
            if self._is_effect and not may_be_done:
                self._effects.withdraw(session, self._intent)

    def _audit(self, session: Any, status: str, code: str | None = None) -> None:
        detail = {
            **self._described,
            "approval": self._approval,
            "status": status,
            "step": self._calls.step,
            "code": code,
        }
        record(
            session,
            self._ctx.organization_id,
            self._ctx.project_id,
            AuditAction.TOOL_CALL,
            subject_id=encode(JOB, self._ctx.job_id),
            actor=Actor("worker"),
            attempt=self._ctx.attempt,
            payload_digest=bytes.fromhex(self._digest),
            detail={name: value for name, value in detail.items() if value is not None},
        )
