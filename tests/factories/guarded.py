"""A guard over a policy that a test states, and an analyzer that it can kill; and the values that must not get out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.guard.examples import Embed, ExampleClasses
from core.guard.guard import Guard
from core.guard.policy import CombinedPolicy, GuardPolicy, Rule
from core.guard.pseudonyms import PseudonymKeys
from core.guard.records import Action, Direction, RedactionMode
from core.kit.db import Executor
from core.kit.settings import Settings
from tests.factories.listed_analyzer import ListedAnalyzer

ANNA, BEN = "Anna Schmidt", "Ben O'Kafor"
CORPUS = (ANNA, BEN, "anna.schmidt@example.org", "+49 30 1234567")
TO_MODEL = GuardPolicy(rules=(Rule(directions=(Direction.TO_MODEL,), action=Action.REDACT),))
TO_CLIENT = GuardPolicy(
    rules=(
        Rule(kinds=("email",), directions=(Direction.TO_CLIENT,), action=Action.REDACT, mode=RedactionMode.MASK),
        Rule(directions=(Direction.TO_CLIENT,), action=Action.REDACT),
    )
)
BLOCKING = GuardPolicy(rules=(Rule(kinds=("phone",), action=Action.BLOCK), Rule(action=Action.DETECT)))


@dataclass(frozen=True)
class OnePolicy:
    """Implements `core.guard.guard.Policies`: the same for every project."""

    policy: GuardPolicy

    def of(self, executor: Executor, organization_id: UUID, project_id: UUID) -> CombinedPolicy:  # noqa: ARG002
        return CombinedPolicy([self.policy])


def guard_of(
    settings: Settings, policy: GuardPolicy, analyzer: ListedAnalyzer | None = None, embed: Embed | None = None
) -> Guard:
    """A guard that knows the names of the corpus, and turns texts into vectors by `embed`."""
    known = analyzer or ListedAnalyzer(ANNA, BEN)
    return Guard(OnePolicy(policy), known, PseudonymKeys(settings), ExampleClasses(embed))


def leaks(sent: Any, corpus: tuple[str, ...] = CORPUS) -> list[str]:
    """The values of the corpus that are in what was sent, a JSON value, under any name and in any case."""
    if isinstance(sent, Mapping):
        return [leak for name, value in sent.items() for leak in (*leaks(name, corpus), *leaks(value, corpus))]
    if isinstance(sent, list | tuple):
        return [leak for value in sent for leak in leaks(value, corpus)]
    text = str(sent).casefold()
    return [value for value in corpus if value.casefold() in text]
