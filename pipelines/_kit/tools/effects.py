"""An effect has a known outcome: its intent is written, then the call is made, then its receipt is written.

A job that finds an intent without a receipt does not know whether the effect has happened, and never guesses. It
repeats the call where the system takes an idempotency key, looks it up where the system offers that, and asks a person
everywhere else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.capability import JobContext, LeaseLost
from core.jobs.effects import repository
from core.jobs.effects.repository import StoredEffect
from core.kit.db import Executor
from core.kit.errors import CapabilityFailure
from pipelines._kit.tools.exchange import value_at
from pipelines._kit.tools.policies import ReadBack, ToolPolicy

_ASKED_SECONDS = 7 * 86_400
NOT_DONE = {"status": "refused", "code": "effect_not_done", "message": "it was looked up, and has not happened"}


class EffectOutcome(BaseModel):
    """What a person found out about a call whose answer never came."""

    model_config = ConfigDict(extra="forbid")

    happened: bool = Field(description="Whether the system has done it. It is not done again, whatever the answer.")
    note: str | None = Field(None, max_length=1000, description="How it was found out; kept with the job.")


@dataclass(frozen=True, slots=True)
class Intent:
    """A call with an effect, by the values that are the same in every attempt; `shown` is the part a person sees."""

    policy: ToolPolicy
    call: str
    arguments: Mapping[str, Any]
    arguments_digest: str
    shown: Mapping[str, Any]


class EffectLog:
    """Intents and receipts of one job."""

    def __init__(self, ctx: JobContext) -> None:
        self._ctx = ctx

    def find(self, intent: Intent) -> StoredEffect | None:
        """The record of the effect. Raises `CapabilityFailure` (``tool_call_reused``) for other arguments."""
        with self._ctx.transaction() as session:
            stored = repository.find(session, self._ctx.organization_id, self._ctx.job_id, intent.call)
        if stored is not None and stored.arguments_digest != intent.arguments_digest:
            raise CapabilityFailure(
                f"{intent.policy.operation} was called as {intent.call[:80]} with other arguments before",
                code="tool_call_reused",
            )
        return stored

    def begin(self, session: Executor, intent: Intent, stored: StoredEffect | None) -> None:
        """Record that the call is made now, or again. Raises `LeaseLost` when another attempt makes it."""
        ctx, policy = self._ctx, intent.policy
        if stored is None:
            is_ours = repository.intend(
                session,
                ctx.organization_id,
                ctx.job_id,
                intent.call,
                ctx.attempt,
                operation=policy.operation,
                tool=policy.tool,
                server=policy.server.name,
                effect=policy.effect.value,
                arguments_digest=intent.arguments_digest,
            )
        else:
            is_ours = repository.take(session, ctx.job_id, stored, ctx.attempt)
        if not is_ours:
            raise LeaseLost

    def withdraw(self, session: Executor, intent: Intent) -> None:
        """Remove the intent: nothing was sent."""
        repository.withdraw(session, self._ctx.job_id, intent.call, self._ctx.attempt)

    def settle(self, session: Executor, intent: Intent, outcome: Mapping[str, Any]) -> None:
        """Write the receipt."""
        repository.settle(session, self._ctx.job_id, intent.call, outcome)

    def find_out(
        self,
        intent: Intent,
        stored: StoredEffect,
        *,
        may_call: bool,
        read: Callable[[ReadBack], dict[str, Any] | None],
        wait: Callable[[float], None],
    ) -> dict[str, Any] | None:
        """The outcome of an effect that may have happened; None when its call is to be made, now or again.

        `may_call`: the call would be allowed now. `read` is the answer of the operation that looks it up, None when it
        was refused. Raises `core.capability.JobSuspended` while a person is asked.
        """
        policy = intent.policy
        if stored.is_asked:
            return self._ask(intent)
        if policy.idempotency_argument is not None and may_call and stored.attempt != self._ctx.attempt:
            return None
        if policy.read_back is not None:
            answer = read(policy.read_back)
            if answer is not None and not value_at(answer, policy.read_back.found):
                # A call that was cut off may still be running, for as long as the operator's file allows one to take.
                wait(policy.server.timeout_seconds - stored.age_seconds)
                answer = read(policy.read_back)
            if answer is not None and value_at(answer, policy.read_back.found):
                return {"status": "done", "result": answer}
            if answer is not None:
                return None if may_call and stored.tries < policy.server.max_attempts else NOT_DONE
        return self._ask(intent)

    def _ask(self, intent: Intent) -> dict[str, Any]:
        with self._ctx.transaction() as session:
            repository.mark_asked(session, self._ctx.job_id, intent.call)
        policy = intent.policy
        answer = self._ctx.ask(
            f"outcome-{_printable(intent.call)}",
            f"Has {policy.operation} happened? No answer came from {policy.server.name}.",
            EffectOutcome,
            details={"code": "outcome_unknown", "arguments": dict(intent.arguments), **intent.shown},
            timeout_seconds=_ASKED_SECONDS,
        )
        if answer.timed_out or answer.value is None:
            message = f"no answer came from {policy.server.name}, and no person said what became of it"
            return {"status": "unknown", "code": "outcome_unknown", "message": message}
        if answer.value.get("happened") is True:
            return {"status": "done", "code": "confirmed", "message": f"{answer.answered_by} found that it was done"}
        return {**NOT_DONE, "message": f"{answer.answered_by} found that it was not done"}


def _printable(call: str) -> str:
    return "".join(sign if "!" <= sign <= "~" else "_" for sign in call[:180])
