"""Runs a LangGraph graph as a job: one node is one step, and a finished node is never run again.

Nodes get the attempt's `JobContext` through LangGraph's runtime context, never through a global, so one compiled graph
serves every thread of a worker.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.runtime import Runtime
from langsmith.run_helpers import tracing_context
from pydantic import BaseModel

from core.capability import JobContext
from pipelines._kit.checkpoint import JobCheckpointSaver

Payload = TypeVar("Payload", bound=BaseModel)
Output = TypeVar("Output", bound=BaseModel)

# LangGraph stops a graph after so many steps. A job is bounded by its deadline instead.
_STEPS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class RunContext:
    """LangGraph's runtime context of one run. It is handed to nodes and never stored in a checkpoint."""

    job: JobContext


Graph = StateGraph[Any, RunContext, Any, Any]


def new_graph(state: type[Any]) -> Graph:
    """An empty graph over `state`, a TypedDict of plain and small data, because every step stores all of it."""
    return StateGraph(state, context_schema=RunContext)


def add_step(
    graph: Graph,
    name: str,
    function: Callable[[Any, JobContext], Mapping[str, Any]],
    *,
    step: str | None = None,
) -> None:
    """Add a node that runs ``function(state, ctx)`` as a step of the job and updates the state with its result.

    `step` is what the job calls it, by default `name`; unlike a node's name it may hold a colon.
    """

    def node(state: Any, runtime: Runtime[RunContext]) -> Mapping[str, Any]:
        ctx = runtime.context.job
        with ctx.step(step or name):
            return function(state, ctx)

    graph.add_node(name, node)


class GraphRunner(Generic[Payload, Output]):
    """Implements `core.capability.Runner` with a graph. Safe in several threads.

    `begin` turns the job's input into the first state, `finish` the last state into the job's result. An attempt that
    finds a checkpoint continues after the last finished node and does not call `begin`.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        begin: Callable[[Payload], Mapping[str, Any]],
        finish: Callable[[Mapping[str, Any]], Output],
    ) -> None:
        self._graph = graph.compile()
        self._begin = begin
        self._finish = finish

    def run(self, ctx: JobContext, payload: Payload) -> Output:
        """Run or continue the graph. What a node raises passes through unchanged, `JobInterrupted` included."""
        ctx.check()
        saver = JobCheckpointSaver(ctx.checkpoints(), is_empty=ctx.attempt == 1)
        config: RunnableConfig = {
            "configurable": {"thread_id": str(ctx.job_id)},
            "recursion_limit": _STEPS_MAX,
        }
        resumes = saver.get_tuple(config) is not None
        # Prompts and documents must not leave for a tracing service because a variable happens to be set.
        with tracing_context(enabled=False):
            # Durable before the next node begins: a paid call is never repeated because its checkpoint was still on
            # its way. The copy shares the compiled nodes.
            state = self._graph.copy({"checkpointer": saver}).invoke(
                None if resumes else dict(self._begin(payload)), config, context=RunContext(ctx), durability="sync"
            )
        return self._finish(state)
