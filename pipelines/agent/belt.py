"""The operator's operations as tools of a model, which calls them under the rules of the tool box."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from core.capability import JobContext
from core.gateway.models import ToolSpec
from core.kit.errors import CapabilityFailure
from core.kit.json_values import dumps, loads_foreign
from pipelines._kit.tools import approvals
from pipelines._kit.tools.approvals import ASK_AGAIN, Approval
from pipelines._kit.tools.box import Motive, ToolBox
from pipelines._kit.tools.client import OfferedTool
from pipelines._kit.tools.outcomes import ToolOutcome
from pipelines._kit.tools.policies import Effect, ToolPolicy

WORDS = "quoted_words"
UNDO = "undo_last_action"
_WORDS_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "description": "The user's words, letter by letter, that ask for exactly this or agree to it.",
}
_UNDO_SPEC = ToolSpec(
    UNDO,
    "Takes back the last thing that was done in this conversation, where the system can.",
    {"type": "object", "properties": {WORDS: _WORDS_SCHEMA}, "required": [WORDS]},
)
_ANSWER_MAX_CHARACTERS = 20_000
_ASKED_AGAIN_MAX = 10
# The job ends: no one is left to act for.
_FINAL = frozenset({"key_revoked", "not_a_member"})


@dataclass(frozen=True, slots=True)
class Came:
    """The outcome of a call: `text` is what the model reads of it, `words` are the user's words that requested it."""

    text: str
    outcome: ToolOutcome | None = None
    words: str | None = None
    is_error: bool = False


class _NotCalledError(Exception):
    """Nothing was called, and the model is given the reason."""


class Belt:
    """The tools of one step. `own` is the user's newest message; `acts` says whether effects are carried out."""

    def __init__(
        self,
        ctx: JobContext,
        box: ToolBox,
        policies: Sequence[ToolPolicy],
        *,
        own: str,
        acts: bool,
        undone: Collection[str],
        timeout_seconds: int,
    ) -> None:
        self._ctx = ctx
        self._box = box
        self._policies = {name_of(policy.operation): policy for policy in policies}
        self._own = own
        self._acts = acts
        self._undone = undone
        self._timeout_seconds = timeout_seconds

    def carry_out(self, name: str, written: str, call: str) -> Came:
        """The outcome of the call `name` with the arguments that the model wrote.

        Raises retryable failures, and `core.capability.JobSuspended` while a person is asked.
        """
        try:
            arguments = _read(written)
            words = str(arguments.pop(WORDS, "") or "").strip()
            if name == UNDO and self._acts:
                return self._undo(words)
            policy = self._policy(name)
            if policy.effect is not Effect.READ:
                self._require_request(words)
            return self._carry_out(policy, arguments, words, call)
        except _NotCalledError as why:
            return Came(str(why), is_error=True)

    def _carry_out(self, policy: ToolPolicy, arguments: Mapping[str, Any], words: str, call: str) -> Came:
        ours = {theirs: mine for mine, theirs in policy.arguments.items()}
        given = {ours.get(key, key): value for key, value in arguments.items() if key != policy.idempotency_argument}
        try:
            outcome = self._call(policy, given, words, call)
        except CapabilityFailure as failure:
            if failure.retryable or failure.code in _FINAL:
                raise
            refused = self._box.refuse(policy.operation, failure, call=call)
            return Came(_refusal(failure), refused, words or None, is_error=True)
        if outcome is None:
            raise _NotCalledError("a person declined it, or did not answer in time; nothing was done")
        return Came(_shown(outcome), outcome, words or None, is_error=outcome.status not in {"done", "proposed"})

    def _policy(self, name: str) -> ToolPolicy:
        if name not in self._policies:
            raise _NotCalledError(f"there is no tool {name[:60]}")
        return self._policies[name]

    def _require_request(self, words: str) -> None:
        """Refuse a call with an effect that the user's own words do not request, letter by letter."""
        if not words or " ".join(words.split()) not in " ".join(self._own.split()):
            raise _NotCalledError(f"{WORDS} do not stand in the user's newest message: ask the user first")

    def _call(self, policy: ToolPolicy, given: Mapping[str, Any], words: str, call: str) -> ToolOutcome | None:
        box, operation = self._box, policy.operation
        if policy.effect is Effect.READ:
            return box.call(operation, given, call=call)
        amount = _amount(policy, given)
        if not self._acts:
            return box.propose(operation, amount, call=call)
        known = box.settled(operation, given, call=call)
        if known is not None:
            return known
        box.require_within_limits(operation, given)
        approval: Approval | None = None
        for _ in range(_ASKED_AGAIN_MAX):
            taints = box.tainted(operation, given, motive=Motive.MODEL)
            if taints or box.needs_approval(operation, amount):
                asked = approvals.ask(
                    self._ctx,
                    box.bind(operation, given, call=call),
                    f"May {operation} be done?",
                    details={
                        "operation": operation,
                        "amount": None if amount is None else str(amount),
                        "currency": policy.currency,
                        "arguments": dict(given),
                        "user_words": words,
                    },
                    taints=taints,
                    timeout_seconds=self._timeout_seconds,
                    before=approval,
                )
                if not isinstance(asked, Approval):
                    return None
                approval = asked
            try:
                return box.call(operation, given, call=call, approval=approval, motive=Motive.MODEL)
            except CapabilityFailure as failure:
                if failure.code not in ASK_AGAIN:
                    raise
        raise CapabilityFailure(f"{operation} changes as often as it is approved", code="tool_approval_missing")

    def _undo(self, words: str) -> Came:
        self._require_request(words)
        done = [
            each
            for each in self._box.outcomes
            if each.status == "done" and each.effect != Effect.READ.value and each.call not in self._undone
        ]
        undone = self._box.compensate(done[-1]) if done else None
        if undone is None:
            raise _NotCalledError("there is nothing that can be taken back")
        return Came(_shown(undone), undone, words, is_error=undone.status != "done")


def specs(
    policies: Sequence[ToolPolicy], offered: Mapping[str, Mapping[str, OfferedTool]], *, acts: bool
) -> list[ToolSpec]:
    """The tools as a model is shown them, as their servers list them (`offered`, by name); others are left out."""
    found = []
    for policy in policies:
        tool = offered.get(policy.server.name, {}).get(policy.tool)
        if tool is not None:
            found.append(ToolSpec(name_of(policy.operation), tool.description, _parameters(policy, tool)))
    return [*found, _UNDO_SPEC] if acts and any(policy.compensation for policy in policies) else found


def name_of(operation: str) -> str:
    """An operation's name as providers of models allow it."""
    return operation.replace(".", "_")[:64]


def _parameters(policy: ToolPolicy, tool: OfferedTool) -> dict[str, Any]:
    schema = dict(tool.arguments)
    hidden = {policy.idempotency_argument}
    properties = {name: each for name, each in (schema.get("properties") or {}).items() if name not in hidden}
    required = [name for name in schema.get("required") or () if name not in hidden]
    if policy.effect is not Effect.READ:
        properties[WORDS] = _WORDS_SCHEMA
        required.append(WORDS)
    return {**schema, "type": "object", "properties": properties, "required": required}


def _read(written: str) -> dict[str, Any]:
    try:
        arguments = loads_foreign(written or "{}")
    except ValueError:
        raise _NotCalledError("the arguments are not JSON") from None
    if not isinstance(arguments, dict):
        raise _NotCalledError("the arguments are not an object")
    return arguments


def _amount(policy: ToolPolicy, given: Mapping[str, Any]) -> Decimal | None:
    if policy.amount_argument is None:
        return None
    ours = {theirs: mine for mine, theirs in policy.arguments.items()}
    try:
        amount = Decimal(str(given.get(ours.get(policy.amount_argument, policy.amount_argument))))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _shown(outcome: ToolOutcome) -> str:
    if outcome.status == "proposed":
        return "this is a draft: it was proposed, and not done"
    if outcome.status != "done":
        return f"{outcome.status}: {outcome.code}: {outcome.message}"
    return dumps(outcome.result).decode()[:_ANSWER_MAX_CHARACTERS]


def _refusal(failure: CapabilityFailure) -> str:
    return json.dumps({"error": failure.code, "message": failure.detail})
