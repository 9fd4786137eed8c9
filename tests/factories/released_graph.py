"""The graph of the releases in `tests/factories/releases`, which loads LangGraph."""

import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START

from core.capability import JobContext
from pipelines._kit.graph import GraphRunner, add_step, new_graph
from tests.factories.released import ACT, Order, Taken, pause


class State(TypedDict, total=False):
    gate: str | None
    ask: bool
    path: Annotated[list[str], operator.add]


def chain(version: int, names: Sequence[str]) -> GraphRunner[Order, Taken]:
    """A graph of nodes in a row."""
    graph = new_graph(State)
    for name in names:
        said = f"{version}:{name}"

        def node(state: State, ctx: JobContext, name: str = name, said: str = said) -> Mapping[str, Any]:
            if name == ACT:
                pause(ctx, state["gate"], ask=state["ask"])
            return {"path": [said]}

        add_step(graph, name, node, step=said)
    for before, after in zip((START, *names), (*names, END), strict=True):
        graph.add_edge(before, after)
    return GraphRunner(
        graph,
        begin=lambda order: {"gate": order.gate, "ask": order.ask, "path": []},
        finish=lambda state: Taken(path=state["path"]),
    )
