"""Checks whether a server's tools fit the operator's file and the capabilities' operations. Calls no effect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel

from core.kit.errors import CapabilityFailure
from pipelines._kit.tools.answers import require_readable
from pipelines._kit.tools.client import OfferedTool, ToolClient, ToolError, ToolRefusal
from pipelines._kit.tools.exchange import renamed
from pipelines._kit.tools.policies import Effect, ToolPolicy


class Asked(Protocol):
    """The part of a capability's operation that is used here."""

    @property
    def effect(self) -> str:
        """``read``, ``write`` or ``money``."""

    @property
    def arguments(self) -> type[BaseModel]:
        """The arguments of the tool."""

    @property
    def answer(self) -> type[BaseModel]:
        """The required answer of the tool."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one operation: `missing` must be mended, `notes` may be."""

    operation: str
    tool: str
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def inspect(policy: ToolPolicy, asked: Asked | None, offered: OfferedTool | None) -> Finding:
    """What the tool lacks, by its own JSON Schemas; `asked` is None for an operation that no capability knows."""
    found = Finding(policy.operation, policy.tool)
    if offered is None:
        found.missing.append(f"the server lists no tool {policy.tool}")
        return found
    takes = offered.arguments.get("properties") or {}
    named = {"idempotency_argument": policy.idempotency_argument, "amount_argument": policy.amount_argument}
    for name, theirs in named.items():
        if theirs and theirs not in takes:
            found.missing.append(f"it takes no {theirs}, the {name} of the file")
    if asked is None:
        found.notes.append("no step of customer_operations.resolve asks for it; agent.run may")
        return found
    if asked.effect != policy.effect.value:
        found.missing.append(f"its effect is {asked.effect}, and the file says {policy.effect.value}")
    _inspect_arguments(policy, asked, offered, found)
    _inspect_answer(policy, asked, offered, found)
    return found


def try_reading(
    client: ToolClient, policy: ToolPolicy, asked: Asked, arguments: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, str | None]:
    """Call a reading operation: its answer, and what is wrong with it. Raises ValueError for an effect."""
    if policy.effect is not Effect.READ:
        raise ValueError(f"{policy.operation} has an effect")
    sent = {policy.arguments.get(name, name): value for name, value in arguments.items() if value is not None}
    try:
        answer = renamed(policy, client.call(policy.server, policy.tool, sent))
        require_readable(asked.answer.model_validate, answer, policy)
    except ToolRefusal as refusal:
        return None, f"it refused: {refusal.code}: {refusal.message}"
    except (ToolError, CapabilityFailure) as error:
        return None, str(error)
    return answer, None


def _inspect_arguments(policy: ToolPolicy, asked: Asked, offered: OfferedTool, found: Finding) -> None:
    takes = offered.arguments.get("properties") or {}
    sent = {policy.idempotency_argument}
    for name, described in asked.arguments.model_fields.items():
        theirs = policy.arguments.get(name, name)
        sent.add(theirs)
        if theirs not in takes and described.is_required():
            found.missing.append(f'it takes no {theirs}: map it with arguments = {{ {name} = "…" }}')
        elif theirs not in takes:
            found.notes.append(f"it takes no {theirs}; that is left out")
    for name in offered.arguments.get("required") or ():
        if name not in sent:
            found.missing.append(f"it requires {name}, which is never sent")


def _inspect_answer(policy: ToolPolicy, asked: Asked, offered: OfferedTool, found: Finding) -> None:
    answers = (offered.answer or {}).get("properties") or {}
    needed = [name for name, described in asked.answer.model_fields.items() if described.is_required()]
    if not answers and needed:
        found.notes.append(f"it does not say what it answers; it must hold {', '.join(needed)}")
    for name in needed if answers else ():
        theirs = policy.results.get(name, name).split(".")[0]
        if theirs not in answers:
            found.missing.append(f'its answer holds no {theirs}: map it with results = {{ {name} = "…" }}')
