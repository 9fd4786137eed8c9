"""`knowledge.ingest` as a graph: plan, then document after document; a bad file does not affect the others.

A job resumes with a group of documents, which holds one unless there are very many. Documents of a group that were
finished before its worker died are found unchanged by the next attempt.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START

from core.capability import JobContext
from core.kit.ids import DOCUMENT, decode, encode
from core.knowledge.service import KnowledgeService
from pipelines._kit.graph import Graph, GraphRunner, add_step, new_graph
from pipelines._kit.resources import get_blob_store, get_gateway
from pipelines.knowledge.documents.isolation import IsolatedReader
from pipelines.knowledge.intake import Intake
from pipelines.knowledge.schemas import IngestCounts, IngestedDocument, IngestInput, IngestOutput

# Every step stores the whole state, so a job has at most about this many steps, however many documents it has.
_STEPS_MAX = 200


class IngestState(TypedDict, total=False):
    """The state between steps: ids and outcomes, never text or vectors."""

    knowledge_base: str
    requested: list[str] | None
    documents: list[str]
    results: Annotated[list[dict[str, Any]], operator.add]


class Ingest:
    """The nodes. Safe in several threads."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def graph(self) -> Graph:
        """The graph, not compiled."""
        graph = new_graph(IngestState)
        add_step(graph, "plan", self._plan)
        add_step(graph, "ingest", self._ingest)
        graph.add_edge(START, "plan")
        graph.add_conditional_edges("plan", _next, ["ingest", END])
        graph.add_conditional_edges("ingest", _next, ["ingest", END])
        return graph

    def _plan(self, state: IngestState, ctx: JobContext) -> Mapping[str, Any]:
        requested = state["requested"]
        ids = None if requested is None else [decode(DOCUMENT, each) for each in dict.fromkeys(requested)]
        documents = self._intake.plan(ctx, state["knowledge_base"], ids)
        ctx.progress(0, len(documents), "planned")
        return {"documents": [encode(DOCUMENT, document) for document in documents]}

    def _ingest(self, state: IngestState, ctx: JobContext) -> Mapping[str, Any]:
        documents, done = state["documents"], len(state["results"])
        group = documents[done : done + -(-len(documents) // _STEPS_MAX)]
        results: list[dict[str, Any]] = []
        for document in group:
            ctx.check()
            outcome = self._intake.take(ctx, state["knowledge_base"], decode(DOCUMENT, document))
            results.append(outcome.model_dump(mode="json"))
            ctx.progress(done + len(results), len(documents), outcome.name)
        return {"results": results}


def _next(state: IngestState) -> str:
    return "ingest" if len(state["results"]) < len(state["documents"]) else END


def _begin(asked: IngestInput) -> Mapping[str, Any]:
    return {"knowledge_base": asked.knowledge_base, "requested": asked.documents, "results": []}


def _finish(state: Mapping[str, Any]) -> IngestOutput:
    documents = [IngestedDocument.model_validate(result) for result in state["results"]]
    return IngestOutput(documents=documents, counts=_count(documents))


def _count(documents: Sequence[IngestedDocument]) -> IngestCounts:
    def having(status: str) -> int:
        return sum(document.status == status for document in documents)

    return IngestCounts(
        ingested=having("ingested"),
        unchanged=having("unchanged"),
        failed=having("failed"),
        chunks=sum(document.chunks for document in documents),
        embedded=sum(document.embedded for document in documents),
    )


def make_runner(intake: Intake) -> GraphRunner[IngestInput, IngestOutput]:
    """The capability over the given resources."""
    return GraphRunner(Ingest(intake).graph(), begin=_begin, finish=_finish)


def build() -> GraphRunner[IngestInput, IngestOutput]:
    """The entry point named by the manifest."""
    return make_runner(Intake(KnowledgeService(), get_gateway(), get_blob_store(), IsolatedReader()))
