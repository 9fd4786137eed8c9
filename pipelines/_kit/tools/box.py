"""The tools of one job: what the operator allows, asked for by a graph's node and called at most once each.

Every call is announced (``tool.called``), told (``tool.finished``) and audited with a digest of its arguments. Its
idempotency key is ``job:step:call``, so a killed and resumed job repeats the call under the same key, and the system
behind the tool answers what it answered before. Announcing a call is a fenced write: an attempt that lost its lease
reaches no tool.
"""

import hashlib
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from random import uniform
from time import perf_counter
from typing import Any, Literal

import orjson

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.capability import JobContext
from core.guard.links import AllowedLinks, strip_links_of
from core.guard.records import Source
from core.guard.taint import Taint, TaintTracker
from core.kit import semconv
from core.kit.errors import CapabilityFailure, Outage
from core.kit.ids import JOB, encode
from core.kit.json_values import clean
from core.kit.metrics.effects import observe_tool_call
from core.kit.semconv import Operation
from core.kit.telemetry import span
from pipelines._kit.tools import approvals
from pipelines._kit.tools.answers import AnswerReaders, require_readable
from pipelines._kit.tools.approvals import Approval, Binding
from pipelines._kit.tools.client import OfferedTool, ToolAnswerInvalid, ToolClient, ToolError, ToolRefusal
from pipelines._kit.tools.policies import Effect, ToolPolicy
from pipelines._kit.tools.servers import ToolBook

Status = Literal["done", "refused", "unknown", "compensated", "proposed"]
# A longer wait that a server asks for is spent in the queue.
_WAIT_MAX_SECONDS = 3.0
_BACKOFF_SECONDS = (0.2, 1.0, 3.0)
_NO_LINKS = AllowedLinks()


class Motive(StrEnum):
    """Why a tool is called."""

    RULE = "rule"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What came of a call. ``unknown``: it may have happened, and no answer came.

    Plain data, so that it can stand in a graph's state: `amount` is a decimal as text, `result` holds the operation's
    names of the tool's answer.
    """

    operation: str
    tool: str
    server: str
    effect: str
    call: str
    status: Status
    result: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    message: str | None = None
    amount: str | None = None
    currency: str | None = None
    approved_by: str | None = None

    def plain(self) -> dict[str, Any]:
        """As a dictionary for a graph's state."""
        return asdict(self)


class ToolBox:
    """The tools for one step of one job. `history` are the outcomes of the job up to now; limits count them.

    `tracker` knows what the job has read from outside; the tools' own answers are added to it here. `links` are those
    that a text for people may hold, None for any. `readers` try an operation's answers before anybody uses them.
    `rules` is the version of the rules that calls follow from: an approval holds for one version only.
    """

    def __init__(
        self,
        ctx: JobContext,
        book: ToolBook,
        client: ToolClient,
        step: str,
        history: Sequence[Mapping[str, Any]] = (),
        *,
        tracker: TaintTracker | None = None,
        links: AllowedLinks | None = _NO_LINKS,
        readers: AnswerReaders | None = None,
        rules: str = "",
    ) -> None:
        self._ctx = ctx
        self._book = book
        self._client = client
        self._step = step
        self._outcomes = [ToolOutcome(**outcome) for outcome in history]
        self._tracker = TaintTracker() if tracker is None else tracker
        self._links = links
        self._readers = readers or {}
        self._rules = rules
        for outcome in self._outcomes:
            self._tracker.record(Source.TOOL_OUTPUT, outcome.result)

    @property
    def outcomes(self) -> list[ToolOutcome]:
        """What came of every call up to now, in order."""
        return list(self._outcomes)

    def offers(self, operation: str) -> bool:
        """Whether the operator attached a tool for `operation` that this project may use."""
        return self._book.find(operation, self._ctx.project_id) is not None

    def policy(self, operation: str) -> ToolPolicy:
        """The tool for `operation`. Raises `CapabilityFailure` (``tool_unknown``)."""
        found = self._book.find(operation, self._ctx.project_id)
        if found is None:
            raise CapabilityFailure(
                f"no tool is attached for {operation[:60]}; the operator's file of tool servers names what there is",
                code="tool_unknown",
            )
        return found

    def needs_approval(self, operation: str, amount: Decimal | None, *, lower_to: Decimal | None = None) -> bool:
        """Whether a person must agree first. `lower_to` may be stricter than the project's threshold, never wider."""
        policy = self.policy(operation)
        if policy.effect is not Effect.MONEY:
            return False
        threshold = policy.approval_threshold(self._ctx.project_id)
        if lower_to is not None:
            threshold = min(threshold, lower_to)
        return amount is None or amount > threshold

    def tainted(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        computed: Collection[str] = (),
        motive: Motive = Motive.RULE,
    ) -> list[Taint]:
        """Why a person must agree to a call, besides its amount; empty for a tool without effect.

        Each taint is an argument with a value that only text from outside holds, or the call itself (``*``) when a
        model asked for it that had read such text. `computed` are arguments that the operator's own rules worked out.
        """
        if self.policy(operation).effect is Effect.READ or not self._tracker.has_seen:
            return []
        given = {name: value for name, value in arguments.items() if name not in computed}
        asked = [Taint("*", Source.MODEL_OUTPUT)] if motive is Motive.MODEL else []
        return [*asked, *self._tracker.taints(given)]

    def bind(self, operation: str, arguments: Mapping[str, Any], *, call: str, step: str | None = None) -> Binding:
        """What an approval of this call, to be made in `step`, is bound to, with the tool as its server lists it now.

        Raises `CapabilityFailure`: ``tool_unknown``, and ``tool_unavailable`` when the server cannot be asked.
        """
        policy = self.policy(operation)
        return Binding(
            policy=policy,
            name=self._name(call, step),
            call=call,
            arguments=arguments,
            offered=self._offered(policy),
            rules=self._rules,
        )

    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        call: str,
        approval: Approval | None = None,
        computed: Collection[str] = (),
        told: Collection[str] = (),
        motive: Motive = Motive.RULE,
    ) -> ToolOutcome:
        """Call the tool for `operation`; `call` names this call within the step and is the same in every attempt.

        `computed` and `motive` are those of `tainted`. `told` are arguments that hold a text for the customer: links
        that are not allowed are taken out of it, and it may say what the job has read.

        A refusal of the system is an outcome. Raises `CapabilityFailure`: ``tool_unknown``, ``tool_limit``,
        ``tool_approval_missing``, ``tool_approval_stale`` before anything is called; of a tool without effect
        ``tool_unavailable`` and ``tool_timeout`` (retryable) when it gives no answer, ``tool_answer_invalid`` when it
        gives one that cannot be read; and what the context raises. A tool with an effect whose answer is missing or
        unreadable: ``unknown``.
        """
        policy = self.policy(operation)
        amount = self._amount(policy, arguments)
        self._require_within_limits(policy, amount)
        taints = self.tainted(operation, arguments, computed={*computed, *told}, motive=motive)
        if approval is not None:
            approved = approvals.require(self._ctx, self.bind(operation, arguments, call=call), approval)
        else:
            approved = None
            self._require_no_approval(policy, amount, taints)
        if self._links is not None:
            cleaned = {name: strip_links_of(arguments[name], self._links)[0] for name in told if name in arguments}
            arguments = {**arguments, **cleaned}
        by = None if approval is None else approval.approved_by
        outcome = self._carry_out(policy, arguments, call, amount, approved_by=by, approval=approved)
        self._outcomes.append(outcome)
        self._tracker.record(Source.TOOL_OUTPUT, outcome.result)
        return outcome

    def propose(self, operation: str, amount: Decimal | None, *, call: str) -> ToolOutcome:
        """The outcome of a call that is shown and not made. Raises `CapabilityFailure` (``tool_unknown``)."""
        policy = self.policy(operation)
        return ToolOutcome(
            operation=operation,
            tool=policy.tool,
            server=policy.server.name,
            effect=policy.effect.value,
            call=call,
            status="proposed",
            amount=None if amount is None else str(amount),
            currency=policy.currency,
        )

    def refuse(self, operation: str, failure: CapabilityFailure, *, call: str) -> ToolOutcome:
        """The outcome of a call that was not made because `call` raised `failure`."""
        policy = self._book.find(operation, self._ctx.project_id)
        outcome = ToolOutcome(
            operation=operation,
            tool=operation if policy is None else policy.tool,
            server="" if policy is None else policy.server.name,
            effect=Effect.WRITE.value if policy is None else policy.effect.value,
            call=call,
            status="refused",
            code=failure.code,
            message=failure.detail,
        )
        self._outcomes.append(outcome)
        return outcome

    def compensate(self, outcome: ToolOutcome) -> ToolOutcome | None:
        """Undo what `outcome` says was done; None when it has no compensation or was not done.

        The result is the compensating call's own outcome. Raises like `call`.
        """
        policy = self.policy(outcome.operation)
        if policy.compensation is None or outcome.status != "done":
            return None
        arguments = {name: outcome.result.get(source) for name, source in policy.compensation_arguments.items()}
        undoing = self.policy(policy.compensation)
        undone = self._carry_out(undoing, arguments, f"undo-{outcome.call}", None)
        self._outcomes.append(undone)
        return undone

    def _carry_out(
        self,
        policy: ToolPolicy,
        arguments: Mapping[str, Any],
        call: str,
        amount: Decimal | None,
        *,
        approved_by: str | None = None,
        approval: str | None = None,
    ) -> ToolOutcome:
        if policy.data_class is not None:
            self._ctx.raise_class(policy.data_class, because=f"tool {policy.tool}")
        given = {policy.arguments.get(name, name): value for name, value in arguments.items() if value is not None}
        shown, restored = self._ctx.for_tool(given, keeps=policy.receives)
        sent = dict(shown)
        digest = _digest(sent)
        if policy.idempotency_argument is not None:
            sent[policy.idempotency_argument] = self._name(call)
        told = {"tool": policy.tool, "server": policy.server.name, "effect": policy.effect.value, "call": call}
        self._ctx.emit("tool.called", {**told, "arguments_digest": f"sha256:{digest.hex()}"})
        described: dict[str, Any] = {
            "operation": policy.operation,
            **told,
            "amount": None if amount is None else str(amount),
            "currency": policy.currency,
            "approved_by": approved_by,
        }
        proven = {**described, "approval": approval}
        if policy.effect is not Effect.READ:
            self._audit(digest, "called", proven)
        began = perf_counter()
        try:
            outcome = ToolOutcome(**described, **restored(self._answer(policy, sent, call)))
        except CapabilityFailure as failure:
            observe_tool_call(policy.server.name, policy.tool, "failed", perf_counter() - began)
            self._audit(digest, "failed", proven, code=failure.code)
            raise
        except BaseException:
            # Cancelled or cut off in the middle: that it may have happened must be on record.
            observe_tool_call(policy.server.name, policy.tool, "unknown", perf_counter() - began)
            self._audit(digest, "unknown", proven)
            raise
        observe_tool_call(policy.server.name, policy.tool, outcome.status, perf_counter() - began)
        self._audit(digest, outcome.status, proven, code=outcome.code)
        finished = {"status": outcome.status, "duration_ms": round((perf_counter() - began) * 1000, 1)}
        self._ctx.emit("tool.finished", {**told, **finished, **({"code": outcome.code} if outcome.code else {})})
        return outcome

    def _answer(self, policy: ToolPolicy, sent: Mapping[str, Any], call: str) -> dict[str, Any]:
        """What stands in the outcome: status, result, code, message."""
        server = policy.server
        # A call with an effect is waited for, its time is bounded: cut off, nobody would know what it did.
        check = self._ctx.check if policy.effect is Effect.READ else None
        may_be_done = False
        for attempt in range(1, server.max_attempts + 1):
            self._ctx.check()
            try:
                with span(
                    f"{Operation.EXECUTE_TOOL} {policy.tool}",
                    attributes={
                        semconv.OPERATION: Operation.EXECUTE_TOOL.value,
                        semconv.TOOL_NAME: policy.tool,
                        semconv.TOOL_CALL_ID: call,
                        # Called by the agent itself, in a system outside.
                        semconv.TOOL_TYPE: "extension",
                        semconv.TOOL_SERVER: server.name,
                    },
                ):
                    read = self._client.call(server, policy.tool, sent, check=check)
                return {"status": "done", "result": self._readable(policy, _renamed(policy, read))}
            except ToolRefusal as refusal:
                return {"status": "refused", "code": refusal.code, "message": refusal.message}
            except ToolError as error:
                may_be_done = may_be_done or error.was_sent
                is_last = attempt == server.max_attempts or not _is_worth_waiting(error)
                if is_last and error.is_outage and (policy.effect is Effect.READ or not may_be_done):
                    # Nothing was done, or nothing that matters: the job comes back when the server may be there again.
                    raise CapabilityFailure(
                        str(error),
                        code=error.code,
                        outage=Outage(f"tool server {server.name}", error.retry_after_seconds),
                    ) from error
                if policy.effect is Effect.READ and (error.is_final or is_last):
                    raise CapabilityFailure(str(error), code=error.code, retryable=not error.is_final) from error
                if error.is_final or is_last:
                    # A server that lets nobody in at the first try has done nothing; after that nobody knows.
                    # What answered has been called, whatever it meant.
                    has_answered = isinstance(error, ToolAnswerInvalid)
                    status = "refused" if error.is_final and attempt == 1 and not has_answered else "unknown"
                    return {"status": status, "code": error.code, "message": str(error)}
            self._pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _readable(self, policy: ToolPolicy, result: dict[str, Any]) -> dict[str, Any]:
        require_readable(self._readers.get(policy.operation), result, policy)
        return result

    def _pause(self, attempt: int) -> None:
        """Wait before the next try, with full jitter; ends early when the attempt must."""
        wait = threading.Event()
        left = uniform(0, _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS)) - 1])  # noqa: S311 - not a secret
        while left > 0:
            self._ctx.check()
            wait.wait(min(left, 0.25))
            left -= 0.25

    def _amount(self, policy: ToolPolicy, arguments: Mapping[str, Any]) -> Decimal | None:
        if policy.effect is not Effect.MONEY:
            return None
        # The file names the tool's argument; the operation may call it otherwise.
        ours = {theirs: name for name, theirs in policy.arguments.items()}
        assert policy.amount_argument is not None
        given = arguments.get(ours.get(policy.amount_argument, policy.amount_argument))
        try:
            amount = Decimal(str(given))
        except InvalidOperation:
            amount = Decimal(0)
        if not amount.is_finite() or amount <= 0:
            raise CapabilityFailure(f"{policy.operation} needs a positive amount", code="tool_amount_invalid")
        return amount

    def _require_within_limits(self, policy: ToolPolicy, amount: Decimal | None) -> None:
        before = [each for each in self._outcomes if each.operation == policy.operation and each.status != "refused"]
        if len(before) >= policy.calls_per_job:
            raise CapabilityFailure(
                f"{policy.operation} may be called {policy.calls_per_job} times in a job", code="tool_limit"
            )
        if amount is None or policy.amount_per_job is None:
            return
        spent = sum((Decimal(each.amount) for each in before if each.amount is not None), amount)
        if spent > policy.amount_per_job:
            raise CapabilityFailure(
                f"{policy.operation} may move {policy.amount_per_job} {policy.currency} in a job", code="tool_limit"
            )

    def _require_no_approval(self, policy: ToolPolicy, amount: Decimal | None, taints: Sequence[Taint]) -> None:
        if self.needs_approval(policy.operation, amount):
            raise CapabilityFailure(
                f"{policy.operation} of this amount needs a person's approval", code="tool_approval_missing"
            )
        if taints:
            places = ", ".join(sorted({f"{each.argument} from {each.source.value}" for each in taints}))
            raise CapabilityFailure(
                f"{policy.operation[:60]} rests on text from outside ({places[:200]}) and needs a person's approval",
                code="tool_approval_missing",
            )

    def _name(self, call: str, step: str | None = None) -> str:
        """The idempotency key of a call."""
        return f"{encode(JOB, self._ctx.job_id)}:{step or self._step}:{call}"

    def _offered(self, policy: ToolPolicy) -> OfferedTool | None:
        server = policy.server
        try:
            return self._client.offered(server, check=self._ctx.check).get(policy.tool)
        except ToolError as error:
            outage = Outage(f"tool server {server.name}", error.retry_after_seconds) if error.is_outage else None
            raise CapabilityFailure(str(error), code=error.code, retryable=not error.is_final, outage=outage) from error

    def _audit(
        self,
        digest: bytes,
        status: str,
        described: Mapping[str, Any],
        *,
        code: str | None = None,
    ) -> None:
        detail = {**described, "status": status, "step": self._step, "code": code}
        with self._ctx.transaction() as session:
            record(
                session,
                self._ctx.organization_id,
                self._ctx.project_id,
                AuditAction.TOOL_CALL,
                subject_id=encode(JOB, self._ctx.job_id),
                actor=Actor("worker"),
                attempt=self._ctx.attempt,
                payload_digest=digest,
                detail={name: value for name, value in detail.items() if value is not None},
            )


def _digest(sent: Mapping[str, Any]) -> bytes:
    try:
        body = orjson.dumps(sent, option=orjson.OPT_SORT_KEYS, default=str)
    except TypeError:
        # A model may ask for anything: integers above 64 bits, halves of surrogate pairs.
        body = json.dumps(clean(dict(sent)), sort_keys=True, default=str, ensure_ascii=False).encode()
    return hashlib.sha256(body).digest()


def _is_worth_waiting(error: ToolError) -> bool:
    return error.retry_after_seconds is None or error.retry_after_seconds <= _WAIT_MAX_SECONDS


def _renamed(policy: ToolPolicy, read: dict[str, Any]) -> dict[str, Any]:
    """The tool's answer, with what the file maps under the operation's own names."""
    if not policy.results:
        return read
    named = dict(read)
    for name, path in policy.results.items():
        found: Any = read
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        named[name] = found
    return named
