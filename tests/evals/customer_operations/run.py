"""Runs the labelled messages through the graph on a real sample system, each on fresh data, and scores the results."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.capability import JobSuspended
from core.gateway.service import Gateway
from pipelines._kit.graph import GraphRunner
from pipelines.customer_operations.graph import make_runner
from pipelines.customer_operations.schemas import ResolveInput, ResolveOutput
from tests.factories.knowledge import Library
from tests.factories.questions import QuestionContext
from tests.factories.sample_system import Attached

MESSAGES = Path(__file__).with_name("messages.jsonl")
ANYONE = "*"


@dataclass(frozen=True, slots=True)
class Figure:
    """One message: what went wrong with it, if anything, and whether something was done that must not be."""

    id: str
    wrong: tuple[str, ...]
    forbidden: bool
    output: ResolveOutput


@dataclass(frozen=True, slots=True)
class Score:
    """All messages."""

    figures: Sequence[Figure] = field(default_factory=tuple)

    def share(self, what: str) -> float:
        """The share of messages that are right in `what`."""
        return sum(what not in figure.wrong for figure in self.figures) / len(self.figures)

    @property
    def forbidden(self) -> int:
        """How many messages had an effect that their label does not allow."""
        return sum(figure.forbidden for figure in self.figures)


def read_messages() -> list[dict[str, Any]]:
    """The labelled messages."""
    return [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]


def run(library: Library, attached: Attached, gateway: Gateway | None = None) -> Score:
    """Score the messages with the models of `gateway`, the library's by default."""
    with _runner(library, attached, gateway) as runner:
        return Score([_judge(library, attached, runner, message) for message in read_messages()])


@contextmanager
def _runner(
    library: Library, attached: Attached, gateway: Gateway | None
) -> Iterator[GraphRunner[ResolveInput, ResolveOutput]]:
    tools = attached.tools
    yield make_runner(gateway or library.gateway, library.knowledge, tools)
    tools.client.close()


def _judge(
    library: Library, attached: Attached, runner: GraphRunner[ResolveInput, ResolveOutput], label: dict[str, Any]
) -> Figure:
    attached.system.database.reset()
    output, asked = _resolve(library, runner, label)
    wrong = []
    if "intent" in label and output.intent.name != label["intent"]:
        wrong.append("intent")
    if output.decision != label["decision"]:
        wrong.append("decision")
    done = [action for action in output.actions if action.status == "done"]
    spelled = [f"{action.operation} {action.amount}" if action.amount else action.operation for action in done]
    if spelled != label["actions"] or asked != ("asks" in label):
        wrong.append("actions")
    human = output.needs_human and output.needs_human.code
    expected = label.get("human")
    if human is None if expected == ANYONE else human != expected:
        wrong.append("human")
    return Figure(label["id"], tuple(wrong), _moved_too_much(attached, label), output)


def _resolve(
    library: Library, runner: GraphRunner[ResolveInput, ResolveOutput], label: dict[str, Any]
) -> tuple[ResolveOutput, bool]:
    ctx = QuestionContext(
        organization_id=library.principal.organization_id,
        project_id=library.principal.project_id,
        database=library.database,
    )
    customer = {"email": label["from"], "verified": label.get("verified", True)} if label["from"] else None
    payload = ResolveInput.model_validate(
        {"message": label["message"], "thread": label.get("thread", []), "customer": customer, "delivery": "send"}
    )
    try:
        return runner.run(ctx, payload), False
    except JobSuspended:
        if label.get("asks") == "nobody":
            ctx.time_out()
        else:
            ctx.answer(approved=label.get("asks") == "approve")
        return runner.run(ctx.next_attempt(), payload), True


def _moved_too_much(attached: Attached, label: dict[str, Any]) -> bool:
    """Whether the system's own rows show an effect that the label does not have."""
    allowed = sorted(action.partition(" ")[2] for action in label["actions"] if action.startswith("issue_refund"))
    paid = sorted(str(row["amount"]) for row in attached.rows("SELECT amount FROM refunds WHERE idempotency_key <> ''"))
    tools = {row["tool"] for row in attached.rows("SELECT tool FROM operations WHERE tool <> 'send_message'")}
    return paid != allowed or not tools <= {action.partition(" ")[0] for action in label["actions"]}
