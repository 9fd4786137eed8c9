"""The tools of one job: those that the operator allows, called by a graph's nodes, each call made at most once.

Limits, provenance and approval are checked here; `calls` makes the call and determines its outcome.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from core.capability import JobContext
from core.guard.links import AllowedLinks, strip_links_of
from core.guard.records import Source
from core.guard.taint import Taint, TaintTracker
from core.kit.errors import CapabilityFailure
from pipelines._kit.tools import approvals
from pipelines._kit.tools.answers import AnswerReaders
from pipelines._kit.tools.approvals import ASK_AGAIN, Approval, Binding
from pipelines._kit.tools.calls import ToolCalls
from pipelines._kit.tools.client import ToolClient
from pipelines._kit.tools.outcomes import ToolOutcome
from pipelines._kit.tools.policies import Effect, ToolPolicy
from pipelines._kit.tools.servers import ToolPolicies

_NO_LINKS = AllowedLinks()


class Motive(StrEnum):
    """The reason for a call of a tool."""

    RULE = "rule"
    MODEL = "model"


class ToolBox:
    """The tools for one step of one job. `history` are the outcomes of the job up to now; limits count them.

    `tracker` knows what the job has read from outside; the tools' own answers are added to it here. `links` are those
    that a text for people may hold, None for any. `readers` check an operation's answers before they are used. `rules`
    is the version of the rules that calls follow from: an approval is valid for one version only.
    """

    def __init__(
        self,
        ctx: JobContext,
        policies: ToolPolicies,
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
        self._policies = policies
        self._outcomes = [ToolOutcome(**outcome) for outcome in history]
        self._tracker = TaintTracker() if tracker is None else tracker
        self._links = links
        self._rules = rules
        self._calls = ToolCalls(ctx, client, step, self.policy, readers or {})
        for outcome in self._outcomes:
            self._tracker.record(Source.TOOL_OUTPUT, outcome.result)

    @property
    def outcomes(self) -> list[ToolOutcome]:
        """The outcomes of all calls up to now, in order."""
        return list(self._outcomes)

    def offers(self, operation: str) -> bool:
        """Whether the operator attached a tool for `operation` that this project may use."""
        return self._policies.find(operation, self._ctx.project_id) is not None

    def policy(self, operation: str) -> ToolPolicy:
        """The tool for `operation`. Raises `CapabilityFailure` (``tool_unknown``)."""
        found = self._policies.find(operation, self._ctx.project_id)
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

        Each taint is an argument with a value that only text from outside holds, or the call itself (``*``) when it was
        requested by a model that had read such text. `computed` are arguments that the operator's own rules worked out.
        """
        if self.policy(operation).effect is Effect.READ or not self._tracker.has_seen:
            return []
        given = {name: value for name, value in arguments.items() if name not in computed}
        asked = [Taint("*", Source.MODEL_OUTPUT)] if motive is Motive.MODEL else []
        return [*asked, *self._tracker.taints(given)]

    def bind(self, operation: str, arguments: Mapping[str, Any], *, call: str, step: str | None = None) -> Binding:
        """The binding of an approval of this call, to be made in `step`, with the tool as its server lists it now.

        Raises `CapabilityFailure`: ``tool_unknown``, and ``tool_unavailable`` when the server cannot be reached.
        """
        policy = self.policy(operation)
        return Binding(
            policy=policy,
            name=self._calls.name(call, step),
            call=call,
            arguments=arguments,
            offered=self._calls.offered(policy),
            rules=self._rules,
        )

    def require_within_limits(self, operation: str, arguments: Mapping[str, Any]) -> None:
        """Raise `CapabilityFailure` (``tool_limit``, ``tool_amount_invalid``) for calls that no approval allows."""
        policy = self.policy(operation)
        self._require_within_limits(policy, self._amount(policy, arguments))

    def settled(self, operation: str, arguments: Mapping[str, Any], *, call: str) -> ToolOutcome | None:
        """The outcome of this call in an earlier attempt; None when it is not known, or was not made."""
        policy = self.policy(operation)
        stored = self._calls.find(self._calls.intend(policy, arguments, call, None))
        if stored is None or stored.outcome is None:
            return None
        return self._remember(ToolOutcome(**stored.outcome))

    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        call: str,
        approval: Approval | None = None,
        computed: Collection[str] = (),
        customer_texts: Collection[str] = (),
        motive: Motive = Motive.RULE,
    ) -> ToolOutcome:
        """Call the tool for `operation`; `call` names this call within the step and is the same in every attempt.

        `computed` and `motive` are those of `tainted`. `customer_texts` names arguments that the customer reads: links
        that are not allowed are removed from it, and it may repeat what the job has read.

        A refusal by the system is an outcome. Raises `CapabilityFailure`: ``tool_unknown``, ``tool_limit``,
        ``tool_approval_missing``, ``tool_approval_stale`` before anything is called; of a tool without effect
        ``tool_unavailable`` and ``tool_timeout`` (retryable) when it gives no answer, ``tool_answer_invalid`` when it
        gives one that cannot be read; and the exceptions of the context. A tool with an effect whose answer is missing
        or unreadable: ``unknown``.
        """
        policy = self.policy(operation)
        amount = self._amount(policy, arguments)
        shown_to_customer = {name: arguments[name] for name in customer_texts if name in arguments}
        if self._links is not None:
            shown_to_customer = {
                name: strip_links_of(value, self._links)[0] for name, value in shown_to_customer.items()
            }
        intent = self._calls.intend(policy, {**arguments, **shown_to_customer}, call, amount)
        stored = self._calls.find(intent)
        if stored is not None and stored.outcome is not None:
            # The earlier attempt was killed between the receipt and the end of its step.
            return self._remember(ToolOutcome(**stored.outcome))
        approved, may_call = None, True
        try:
            self._require_within_limits(policy, amount)
            if approval is not None:
                approved = approvals.require(self._ctx, self.bind(operation, arguments, call=call), approval)
            else:
                taints = self.tainted(operation, arguments, computed={*computed, *customer_texts}, motive=motive)
                self._require_no_approval(policy, amount, taints)
        except CapabilityFailure as refused:
            if stored is None or refused.code not in ASK_AGAIN:
                raise
            # It may have happened while it was allowed: its outcome is looked up, and it is not called again.
            may_call = False
        by = None if approval is None else approval.approved_by
        return self._remember(
            self._calls.carry_out(intent, stored, may_call=may_call, approved_by=by, approval=approved)
        )

    def propose(self, operation: str, amount: Decimal | None, *, call: str) -> ToolOutcome:
        """The outcome of a call that is shown but not made. Raises `CapabilityFailure` (``tool_unknown``)."""
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
        policy = self._policies.find(operation, self._ctx.project_id)
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
        """Undo the effect of `outcome`; None when it has no compensation or was not done.

        The result is the compensating call's own outcome. Raises like `call`.
        """
        policy = self.policy(outcome.operation)
        if policy.compensation is None or outcome.status != "done":
            return None
        arguments = {name: outcome.result.get(source) for name, source in policy.compensation_arguments.items()}
        undoing = self.policy(policy.compensation)
        intent = self._calls.intend(undoing, arguments, f"undo-{outcome.call}", None)
        return self._remember(self._calls.carry_out(intent, self._calls.find(intent)))

    def _remember(self, outcome: ToolOutcome) -> ToolOutcome:
        self._outcomes.append(outcome)
        self._tracker.record(Source.TOOL_OUTPUT, outcome.result)
        return outcome

    def _amount(self, policy: ToolPolicy, arguments: Mapping[str, Any]) -> Decimal | None:
        if policy.effect is not Effect.MONEY:
            return None
        # The file names the tool's argument; the operation may use another name.
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
