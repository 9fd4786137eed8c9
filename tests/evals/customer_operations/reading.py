"""What the reader alone makes of messages that no system has orders for: whether they ask for an action, or do not.

``readings.jsonl`` has three sets by three authors who had seen nothing of the product or of what the reader learned
from: "mailbox" as the day's mail looks, "hard" by a tester who wanted money to move, "misleading" with many that hold
the words of a request. None of it was learned.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.customer_operations.consent.judgment import OwnMessage, judge
from pipelines.customer_operations.consent.reader import Action, load_reader
from pipelines.customer_operations.policies.tables import load_policy

MESSAGES = Path(__file__).with_name("readings.jsonl")
EFFECTS = frozenset({Action.CANCEL, Action.REFUND, Action.ADDRESS})
SETS = ("mailbox", "hard", "misleading")


@dataclass(frozen=True, slots=True)
class Read:
    """A message, the effects that it asks for, and those that the reader says it asks for."""

    message: str
    asks: frozenset[Action]
    taken: frozenset[Action]

    @property
    def is_wrong(self) -> bool:
        """Whether something would move although nothing is asked for that moves."""
        return bool(self.taken) and not self.asks

    @property
    def is_found(self) -> bool:
        """Whether all is found that is asked for, and nothing else; money that a cancellation brings is."""
        brought = {Action.REFUND} if Action.CANCEL in self.asks else set()
        return self.asks <= self.taken <= self.asks | brought


def read_set(name: str) -> list[dict[str, Any]]:
    """The messages of a set: `message`, `asks` and `manner`."""
    rows = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["set"] == name]


def read_messages(rows: Iterable[Mapping[str, Any]]) -> Iterator[Read]:
    """Each message as the reader takes it."""
    policy, reader = load_policy(), load_reader()
    for row in rows:
        requests = judge(OwnMessage(row["message"], policy.order_pattern, reader), policy.request)
        yield Read(
            row["message"],
            EFFECTS & {Action(name) for name in row["asks"]},
            frozenset(action for action in EFFECTS if requests[action].asked),
        )


def report(name: str, reads: list[Read]) -> str:
    """The score as text."""
    asking = [each for each in reads if each.asks]
    silent = len(reads) - len(asking)
    wrong = [each for each in reads if each.is_wrong]
    lines = [
        f"reader alone, {name}",
        f"  asks for no effect: n {silent}; taken for a request {len(wrong)}",
        f"  asks for one:       n {len(asking)}, found {sum(each.is_found for each in asking) / len(asking):.3f}",
    ]
    return "\n".join([*lines, *(f"    {each.message}" for each in wrong)]) + "\n"
