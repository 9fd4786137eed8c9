"""Quotes the policy documents about an intent, word for word, found as `knowledge.search` finds them."""

from typing import Any

from core.capability import JobContext
from core.gateway.calls import JobModels
from core.gateway.models import ChatRequest, Citation, Passage, Question
from core.gateway.routing import EMBEDDING, EXTRACTIVE
from core.kit.ids import DOCUMENT, encode
from core.knowledge.service import KnowledgeService
from pipelines._kit.bases import open_base
from pipelines.customer_operations.schemas import PolicyQuote

_PASSAGES = 6
# Three rows of a table, each with its heads.
_QUOTES_MAX = 6


def quote_policy(
    ctx: JobContext,
    models: JobModels,
    knowledge: KnowledgeService,
    base_id: str,
    question: str,
    *,
    seeks_evidence: bool = True,
) -> list[dict[str, Any]]:
    """Up to six sentences and rows of the base related to `question`, as plain `PolicyQuote`s, or none.

    Without `seeks_evidence` it returns only sentences that answer the question.

    The embedded extractive model selects them, whatever chat model is bound: it can only copy. Raises
    `core.kit.errors.CapabilityFailure` when the base is gone or was embedded with another model.
    """
    model = models.resolve(EMBEDDING).price_model
    vector = models.embed(EMBEDDING, [question])[0].tolist()
    base = open_base(knowledge, ctx, base_id, model)
    with ctx.transaction() as session:
        found = knowledge.search(session, base, question, vector, _PASSAGES)
    passages = {
        str(hit.chunk_id): Passage(str(hit.chunk_id), hit.text, hit.document, hit.page, hit.section or "")
        for hit in found
    }
    if not passages:
        return []
    citations: list[Citation] = []
    request = ChatRequest.of_parts((*passages.values(), Question(question, seeks_evidence=seeks_evidence)))
    with models.chat(EXTRACTIVE, request) as stream:
        for chunk in stream:
            citations.extend(chunk.citations)
    hits = {str(hit.chunk_id): hit for hit in found}
    return [
        PolicyQuote(
            quote=hits[cited.passage_id].text[cited.start : cited.end],
            document=hits[cited.passage_id].document,
            document_id=encode(DOCUMENT, hits[cited.passage_id].document_id),
            page=hits[cited.passage_id].page,
            section=hits[cited.passage_id].section,
            start=hits[cited.passage_id].char_start + cited.start,
            end=hits[cited.passage_id].char_start + cited.end,
        ).model_dump(mode="json")
        for cited in citations[:_QUOTES_MAX]
    ]
