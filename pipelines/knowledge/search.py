"""`knowledge.search` as a graph: retrieve → answer → verify. Mode `passages` ends after the first."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypedDict

from langgraph.graph import END, START
from sqlalchemy.orm import Session

from core.capability import JobContext
from core.gateway.calls import JobModels
from core.gateway.models import Citation
from core.gateway.routing import EMBEDDING
from core.kit.blob import BlobStore
from core.kit.errors import NotFound
from core.kit.ids import DOCUMENT, KNOWLEDGE_BASE, decode, encode
from core.knowledge.records import DocumentRecord, Passage
from core.knowledge.service import KnowledgeService
from pipelines._kit.bases import open_base, principal_of
from pipelines._kit.graph import Graph, GraphRunner, add_step, new_graph
from pipelines._kit.resources import get_blob_store, get_gateway
from pipelines.knowledge.answering import answer_question
from pipelines.knowledge.evidence import found_passage, passage_key, readable, verified_quote
from pipelines.knowledge.pagination import Pagination
from pipelines.knowledge.reading import Piece, render
from pipelines.knowledge.schemas import FoundPassage, Mode, NoAnswer, SearchInput, SearchOutput, VerifiedQuote
from pipelines.knowledge.support import unproven_figures

NOTHING_FOUND = "There is nothing in this knowledge base to answer from."
NOT_SUPPORTED = "\n\nThese figures are not in the quoted words; do not rely on them: {figures}."
NOTHING_VERIFIED = "\n\nNo quote in this answer could be found in the documents; do not rely on it."


class SearchState(TypedDict, total=False):
    """The state between steps: the question, the passages found, the answer, and the verified parts of it."""

    knowledge_base: str
    query: str
    mode: str
    limit: int
    embedding_model: str
    passages: list[dict[str, Any]]
    said: dict[str, Any]
    verified: dict[str, Any]


class Models(Protocol):
    """The part of `core.gateway.service.Gateway` that is used here."""

    def for_job(self, ctx: JobContext) -> JobModels:
        """The models that compare the query with the passages, and that answer."""


class Search:
    """The nodes. Safe in several threads."""

    def __init__(self, models: Models, knowledge: KnowledgeService, pagination: Pagination) -> None:
        self._models = models
        self._knowledge = knowledge
        self._pagination = pagination

    def graph(self) -> Graph:
        """The graph, not compiled."""
        graph = new_graph(SearchState)
        add_step(graph, "retrieve", self._retrieve)
        add_step(graph, "answer", self._answer)
        add_step(graph, "verify", self._verify)
        graph.add_edge(START, "retrieve")
        graph.add_conditional_edges("retrieve", _after_retrieval, ["answer", END])
        graph.add_edge("answer", "verify")
        graph.add_edge("verify", END)
        return graph

    def _retrieve(self, state: SearchState, ctx: JobContext) -> Mapping[str, Any]:
        models = self._models.for_job(ctx)
        model = models.resolve(EMBEDDING).price_model
        vector = models.embed(EMBEDDING, [state["query"]])[0]
        base = open_base(self._knowledge, ctx, state["knowledge_base"], model)
        with ctx.transaction() as session:
            hits = self._knowledge.search(session, base, state["query"], vector.tolist(), state["limit"])
        return {
            "embedding_model": model,
            "passages": [found_passage(hit).model_dump(mode="json") for hit in hits],
        }

    def _answer(self, state: SearchState, ctx: JobContext) -> Mapping[str, Any]:
        passages = [readable(FoundPassage.model_validate(found)) for found in state["passages"]]
        if not passages:
            ctx.delta(NOTHING_FOUND)
            return {"said": {"pieces": [NOTHING_FOUND], "no_answer": NoAnswer.NOTHING_FOUND, "attempt": ctx.attempt}}
        answer = answer_question(ctx, self._models.for_job(ctx), state["query"], passages)
        return {
            "said": {
                "pieces": list(answer.reading.pieces),
                "citations": [[cited.passage_id, cited.start, cited.end] for cited in answer.reading.citations],
                # In a list of their own, since a worker of the previous release, which may verify the answer, knows no
                # fourth value.
                "confidences": [cited.confidence for cited in answer.reading.citations],
                "dropped_quotes": answer.reading.dropped_quotes,
                "no_answer": NoAnswer.NOT_IN_DOCUMENTS if answer.says_no_answer else None,
                "model": answer.model,
                "prompt": answer.prompt,
                "attempt": ctx.attempt,
            }
        }

    def _verify(self, state: SearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Compare every quote with the current knowledge base, and remove those that are no longer in it."""
        said = state["said"]
        if said["attempt"] != ctx.attempt:
            # Clients start the text over with every attempt, and this one does not ask the model again.
            ctx.delta(render(said["pieces"]))
        places = said.get("citations", [])
        confidences = said.get("confidences", [None] * len(places))
        citations = [
            Citation(passage, start, end, confidence)
            for (passage, start, end), confidence in zip(places, confidences, strict=True)
        ]
        quotes: list[VerifiedQuote] = []
        numbers: dict[int, int] = {}
        for number, quote in enumerate(self._checked(state, ctx, citations), start=1):
            if quote is not None:
                quotes.append(quote)
                numbers[number] = len(quotes)
        text, no_answer, reserve = render(said["pieces"], numbers), said["no_answer"], ""
        if not quotes and no_answer is None:
            no_answer, reserve = NoAnswer.NOT_VERIFIED, NOTHING_VERIFIED
        elif quotes and said.get("prompt") and (missing := _unproven(said["pieces"], numbers, quotes, state["query"])):
            no_answer, reserve = no_answer or NoAnswer.NOT_SUPPORTED, NOT_SUPPORTED.format(figures=", ".join(missing))
        if reserve:
            text += reserve
            ctx.delta(reserve)
        return {
            "verified": {
                "answer": text,
                "answered": no_answer is None,
                "no_answer": no_answer,
                "confidence": _confidence(quotes) if no_answer is None else None,
                "citations": [quote.model_dump(mode="json") for quote in quotes],
                "dropped_quotes": said.get("dropped_quotes", 0) + len(citations) - len(quotes),
            }
        }

    def _checked(
        self, state: SearchState, ctx: JobContext, citations: Sequence[Citation]
    ) -> list[VerifiedQuote | None]:
        """For each citation the quote as it stands in the knowledge base now, or None."""
        read = {passage["id"]: FoundPassage.model_validate(passage) for passage in state["passages"]}
        keys = [passage_key(cited.passage_id) for cited in citations]
        with ctx.transaction() as session:
            found = self._knowledge.chunks(session, principal_of(ctx), keys)
            documents = self._documents(session, ctx, state["knowledge_base"], found)
        stored = {held.id: held for held in map(found_passage, found) if held.document_id in documents}
        quotes = [verified_quote(cited, read[cited.passage_id], stored.get(cited.passage_id)) for cited in citations]
        return [quote and self._with_page(quote, documents[quote.document_id]) for quote in quotes]

    def _documents(
        self, session: Session, ctx: JobContext, base_id: str, found: Sequence[Passage]
    ) -> dict[str, DocumentRecord]:
        documents = {}
        for document_id in sorted({passage.document_id for passage in found}):
            # A document deleted since its chunks were read a moment ago takes its quotes with it.
            with suppress(NotFound):
                documents[encode(DOCUMENT, document_id)] = self._knowledge.get_document(
                    session, principal_of(ctx), decode(KNOWLEDGE_BASE, base_id), document_id
                )
        return documents

    def _with_page(self, quote: VerifiedQuote, document: DocumentRecord) -> VerifiedQuote:
        if quote.page is None:
            return quote
        page = self._pagination.page_at(document, quote.start)
        return quote if page is None else quote.model_copy(update={"page": page})


def _unproven(
    pieces: Sequence[Piece], numbers: Mapping[int, int], quotes: Sequence[VerifiedQuote], question: str
) -> list[str]:
    by_piece = {piece: quotes[number - 1] for piece, number in numbers.items()}
    return unproven_figures(pieces, by_piece, question)


def _confidence(quotes: Sequence[VerifiedQuote]) -> float | None:
    """The confidence of the least certain citation."""
    return min((quote.confidence for quote in quotes if quote.confidence is not None), default=None)


def _after_retrieval(state: SearchState) -> str:
    return "answer" if state["mode"] == Mode.ANSWER else END


def _begin(asked: SearchInput) -> Mapping[str, Any]:
    return asked.model_dump(mode="json")


def _finish(state: Mapping[str, Any]) -> SearchOutput:
    said = state.get("said", {})
    nothing_asked: dict[str, Any] = {
        "answer": None,
        "answered": False,
        "no_answer": None,
        "citations": [],
        "dropped_quotes": 0,
    }
    return SearchOutput.model_validate(
        {
            "dropped_quotes": 0,
            **state.get("verified", nothing_asked),
            "mode": state["mode"],
            "passages": state["passages"],
            "embedding_model": state["embedding_model"],
            "model": said.get("model"),
            "prompt": said.get("prompt"),
        }
    )


def make_runner(
    models: Models, knowledge: KnowledgeService, blobs: BlobStore
) -> GraphRunner[SearchInput, SearchOutput]:
    """The capability over the given models, knowledge bases and files."""
    return GraphRunner(Search(models, knowledge, Pagination(blobs)).graph(), begin=_begin, finish=_finish)


def build() -> GraphRunner[SearchInput, SearchOutput]:
    """The entry point named by the manifest."""
    return make_runner(get_gateway(), KnowledgeService(), get_blob_store())
