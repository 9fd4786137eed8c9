"""Messages that ask for an action and messages that only speak of one, through the graph on a real sample system.

What counts is the system's own state afterwards. ``requests.jsonl`` has six splits: "first" and "styles" by the author
of the lists of forms that decided before a trained reader did, "blind" and "fresh" by two authors who had seen neither
rules nor messages, and "registers" in many registers and manners, written before anything was tried on it. The reader
has learned from the first two and from the open half of "blind"; the rest, `is_learned` says which, was only scored.
What went wrong in the open half of "registers" was looked at, and messages of those kinds, not these, were learned; the
half that is `kept` was scored once, when nothing was changed any more. "varied" was made to be hard, by one author in
the manners of several: what went wrong in its open part led to mends, the `kept` part was only scored. None of it was
learned. `read_operations` reads a set of another author.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.capability import JobSuspended
from pipelines._kit.graph import GraphRunner
from pipelines.customer_operations.graph import make_runner
from pipelines.customer_operations.schemas import ResolveInput, ResolveOutput
from tests.factories.knowledge import Library
from tests.factories.questions import QuestionContext
from tests.factories.sample_system import Attached

MESSAGES = Path(__file__).with_name("requests.jsonl")
_ANYBODY = "mila.janssen@example.org"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message did. `effects` are spelled as in the set: the operation, and the amount of money."""

    id: str
    kind: str
    message: str
    wanted: tuple[str, ...]
    effects: tuple[str, ...]
    output: ResolveOutput

    @property
    def is_right(self) -> bool:
        """Whether exactly that was done which was asked for."""
        return self.effects == self.wanted


@dataclass(frozen=True, slots=True)
class Part:
    """The outcomes of one part of a set."""

    name: str
    outcomes: Sequence[Outcome] = field(default_factory=tuple)

    @property
    def acted_wrongly(self) -> list[Outcome]:
        """Messages with an effect that they do not ask for."""
        return [each for each in self.outcomes if set(each.effects) - set(each.wanted)]

    @property
    def left_undone(self) -> list[Outcome]:
        """Messages that ask for something that was not done."""
        return [each for each in self.outcomes if each.wanted and not each.is_right]

    @property
    def asking(self) -> int:
        """How many messages ask for something."""
        return sum(bool(each.wanted) for each in self.outcomes)

    @property
    def share_done(self) -> float:
        """Of the messages that ask, those that were done exactly; 1 when none asks."""
        return 1 - len(self.left_undone) / self.asking if self.asking else 1.0


def read_requests(*, kept: bool | None = None, split: str | None = None) -> list[dict[str, Any]]:
    """The messages; of a split only, "first" for those that have none, and only what is kept apart or the others."""
    read = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
    return [
        each
        for each in read
        if (kept is None or each["kept"] is kept) and (split is None or each.get("split", "first") == split)
    ]


def is_learned(message: Mapping[str, Any]) -> bool:
    """Whether the reader of requests has learned from the message, so that it says nothing about unseen ones."""
    split = message.get("split", "first")
    return split in {"first", "styles"} or (split == "blind" and not message["kept"])


def read_operations(path: Path) -> list[dict[str, Any]]:
    """A set with the fields ``who``, ``v``, ``m`` and ``want``; what it wants is prose, so nothing is scored."""
    read = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        {"id": each["id"], "kind": each["want"], "from": each["who"], "verified": each["v"], "message": each["m"]}
        for each in read
    ]


def read_foreign(path: Path, step: int) -> list[dict[str, Any]]:
    """Every `step`-th of a bank's messages (the layout of banking77): none of them asks for anything of a parcel."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::step]
    return [
        {"id": f"foreign-{number}", "kind": row["category"], "from": _ANYBODY, "message": row["text"], "actions": []}
        for number, row in enumerate(rows)
    ]


def run_messages(library: Library, attached: Attached, messages: Iterable[Mapping[str, Any]]) -> Iterator[Outcome]:
    """Each message on fresh data."""
    tools = attached.tools
    runner = make_runner(library.gateway, library.knowledge, tools)
    try:
        for message in messages:
            attached.system.database.reset()
            output = _resolve(library, runner, message)
            yield Outcome(
                message["id"],
                message["kind"],
                message["message"],
                tuple(sorted(message.get("actions", ()))),
                tuple(sorted(effects(attached))),
                output,
            )
    finally:
        tools.client.close()


def effects(attached: Attached) -> list[str]:
    """What was changed, by the system's own rows; a reply changes nothing."""
    called = Counter(row["tool"] for row in attached.rows("SELECT tool FROM operations"))
    paid = [str(row["amount"]) for row in attached.rows("SELECT amount FROM refunds WHERE idempotency_key <> ''")]
    others = [tool for tool in called.elements() if tool not in {"issue_refund", "send_message"}]
    return others + [f"issue_refund {amount}" for amount in paid]


def _resolve(
    library: Library, runner: GraphRunner[ResolveInput, ResolveOutput], message: Mapping[str, Any]
) -> ResolveOutput:
    """Whoever is asked agrees: that a person would have stopped it is no excuse."""
    ctx = QuestionContext(
        organization_id=library.principal.organization_id,
        project_id=library.principal.project_id,
        database=library.database,
    )
    customer = {"email": message["from"], "verified": message.get("verified", True)} if message["from"] else None
    payload = ResolveInput.model_validate({"message": message["message"], "customer": customer, "delivery": "send"})
    while True:
        try:
            return runner.run(ctx, payload)
        except JobSuspended:
            ctx.answer(approved=True)
            ctx = ctx.next_attempt()
