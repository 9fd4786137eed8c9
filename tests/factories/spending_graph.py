"""A graph whose every node makes one paid model call: what an agent looks like to a budget."""

import operator
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START

from core.capability import JobContext, ModelUsage
from pipelines._kit.graph import GraphRunner, add_step, new_graph
from tests.factories.capabilities import SPENDING_MODEL, ProbeInput, ProbeOutput

STEPS = ("plan", "write", "review")


class State(TypedDict):
    bound_tokens: int
    used_tokens: int
    done: Annotated[list[str], operator.add]


def build() -> GraphRunner[ProbeInput, ProbeOutput]:
    graph = new_graph(State)
    for name in STEPS:
        add_step(graph, name, partial(_spend, name))
    for before, after in zip((START, *STEPS), (*STEPS, END), strict=True):
        graph.add_edge(before, after)
    return GraphRunner(graph, begin=_begin, finish=_finish)


def _begin(payload: ProbeInput) -> Mapping[str, Any]:
    return {"bound_tokens": payload.bound_tokens, "used_tokens": payload.used_tokens or 0, "done": []}


def _spend(name: str, state: State, ctx: JobContext) -> Mapping[str, Any]:
    with ctx.call_model(SPENDING_MODEL, {"output_tokens": state["bound_tokens"]}) as call:
        call.report(ModelUsage(SPENDING_MODEL, {"output_tokens": state["used_tokens"]}))
    return {"done": [f"{name} on attempt {ctx.attempt}"]}


def _finish(state: Mapping[str, Any]) -> ProbeOutput:
    return ProbeOutput(attempt=len(state["done"]), said=", ".join(state["done"]))
