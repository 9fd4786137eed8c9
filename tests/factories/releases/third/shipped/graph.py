"""What the third release runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines._kit.graph import Continuation, GraphRunner
from tests.factories.released import Crew, Order, Taken
from tests.factories.released_graph import chain


def build_graph() -> GraphRunner[Order, Taken]:
    return chain(3, ["read", "act", "review", "report"])


def build_graph_2() -> GraphRunner[Order, Taken]:
    return chain(2, ["read", "check", "act", "report"])


def from_1(state: Mapping[str, Any], after: Sequence[str]) -> Continuation:
    """Both begin with the same two nodes."""
    return Continuation({**state, "path": [*state["path"], "from 1"]}, after[0])


def build_crew() -> Crew:
    return Crew(3, ["read", "act", "review", "report"])


def build_crew_1() -> Crew:
    return Crew(1, ["read", "act", "report"])


def build_crew_2() -> Crew:
    return Crew(2, ["read", "check", "act", "report"])
