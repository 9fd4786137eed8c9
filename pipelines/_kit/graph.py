"""Runs a LangGraph graph as a job: one node is one step, and a finished node is never run again.

Nodes get the attempt's `JobContext` through LangGraph's runtime context, never through a global, so one compiled graph
serves every thread of a worker.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langsmith.run_helpers import tracing_context
from pydantic import BaseModel

from core.capability import CheckpointStore, JobContext
from pipelines._kit.checkpoint import JobCheckpointSaver

Payload = TypeVar("Payload", bound=BaseModel)
Output = TypeVar("Output", bound=BaseModel)

# LangGraph stops a graph after a number of steps. A job is bounded by its deadline instead.
_STEPS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class RunContext:
    """LangGraph's runtime context of one run. It is handed to nodes and never stored in a checkpoint."""

    job: JobContext


Graph = StateGraph[Any, RunContext, Any, Any]


@dataclass(frozen=True, slots=True)
class Continuation:
    """Where a job of an earlier graph version resumes in this one: as if node `after` had just left `state` behind.

    `after` is `langgraph.graph.START` for a job that starts with the first node.
    """

    state: Mapping[str, Any]
    after: str


# From the state of an earlier version and the nodes that finished last there: several if they ran in parallel, `START`
# when none has finished.
Migration = Callable[[Mapping[str, Any], Sequence[str]], Continuation]


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

    `step` is its name in the job, by default `name`; unlike a node's name it may hold a colon.
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
        """Run or continue the graph. Exceptions of a node pass through unchanged, `JobInterrupted` included."""
        ctx.check()
        saver = JobCheckpointSaver(ctx.checkpoints(), is_empty=ctx.attempt == 1)
        config: RunnableConfig = {**_thread(str(ctx.job_id)), "recursion_limit": _STEPS_MAX}
        resumes = saver.get_tuple(config) is not None
        # Prompts and documents must not be sent to a tracing service because a variable happens to be set.
        with tracing_context(enabled=False):
            # Durable before the next node starts, so that a paid call is never repeated because its checkpoint was not
            # yet written. The copy shares the compiled nodes.
            state = self._graph.copy({"checkpointer": saver}).invoke(
                None if resumes else dict(self._begin(payload)), config, context=RunContext(ctx), durability="sync"
            )
        return self._finish(state)

    def migrate(self, migration: Migration, old: CheckpointStore, new: CheckpointStore) -> None:
        """See `core.capability.Migrating`. Finished nodes of an unfinished parallel step run again."""
        config = _thread("migrated")
        found = JobCheckpointSaver(old).get_tuple(config)
        if found is None or START not in found.checkpoint["versions_seen"]:
            return
        state = {name: value for name, value in found.checkpoint["channel_values"].items() if not _is_internal(name)}
        going_on = migration(state, _finished_last(found.checkpoint))
        # Over an empty history, so that nothing that was due in the old graph is due in this one.
        saver = JobCheckpointSaver(new, is_empty=True)
        with tracing_context(enabled=False):
            self._graph.copy({"checkpointer": saver}).update_state(config, dict(going_on.state), as_node=going_on.after)


def _thread(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name}}


def _is_internal(channel: str) -> bool:
    """LangGraph's own channels are called ``__start__``, ``branch:to:node`` and the like."""
    return channel.startswith("__") or ":" in channel


def _finished_last(checkpoint: Checkpoint) -> list[str]:
    """The nodes of the last finished step: the versions that triggered them are the newest that any node has seen."""
    seen = {node: max(versions.values()) for node, versions in checkpoint["versions_seen"].items() if versions}
    newest = max(seen.values())
    return sorted(node for node, version in seen.items() if version == newest)
