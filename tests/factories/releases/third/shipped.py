"""The third release runs the second one's graph too, and migrates the first one's jobs; of the crew it keeps both."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines._kit.graph import Continuation, GraphRunner
from tests.factories.released import Crew, Order, Taken, chain, crew_manifest, graph_manifest

ALL = (
    graph_manifest(3, earlier_graphs={2: "shipped:build_graph_2"}, migrations={1: "shipped:from_1"}),
    crew_manifest(3, earlier_graphs={1: "shipped:build_crew_1", 2: "shipped:build_crew_2"}),
)


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
