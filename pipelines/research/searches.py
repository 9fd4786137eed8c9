"""The searches: as child jobs in knowledge bases, and on the web if enabled. Failures are recorded."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from opentelemetry.trace import SpanKind

from core.capability import ChildCall, ChildOutcome, JobContext
from core.kit import semconv
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.semconv import Operation
from core.kit.telemetry import span
from pipelines.research.state import Found, Part, ResearchState
from pipelines.research.web.search import WebHit, WebSearch, WebSearchFailed

SEARCH = "knowledge.search"
WEB = "web"
_SCOUTED = 12
_QUERY_MAX_CHARACTERS = 2000
_CHILD_SECONDS = 300


class Searches:
    """The steps that search. Safe in threads."""

    def __init__(self, web: WebSearch | None) -> None:
        self._web = web

    def scout(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Search once with the whole question: the results shape the plan. Raises `CapabilityFailure`."""
        if state["web"] and self._web is None:
            raise CapabilityFailure(
                "this installation has no web search; ask without `web`, or let the operator set WAYBILL_WEB_SEARCH",
                code="web_search_off",
            )
        query = state["question"]
        calls = [_call(f"scout-{place}", base, query, _SCOUTED) for place, base in enumerate(state["knowledge_bases"])]
        outcomes = ctx.call_all(calls)
        found = [_passages(outcome, base) for outcome, base in zip(outcomes, state["knowledge_bases"], strict=True)]
        return {
            "scouted": _interleaved(found),
            "searches": [_record(call, outcome) for call, outcome in zip(calls, outcomes, strict=True)],
        }

    def search(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Search with every sub-question in every knowledge base, all at once."""
        bases, plan = state["knowledge_bases"], state["plan"]
        calls = [
            _call(f"search-{number}-{place}", base, part["query"], state["passages"])
            for number, part in enumerate(plan)
            for place, base in enumerate(bases)
        ]
        outcomes = ctx.call_all(calls)
        by_part = [
            [
                _passages(outcome, base)
                for outcome, base in zip(outcomes[number * len(bases) : (number + 1) * len(bases)], bases, strict=True)
            ]
            for number in range(len(plan))
        ]
        sources: list[Found] = []
        candidates = [_collect(sources, _interleaved(found)[: state["passages"]]) for found in by_part]
        records = [_record(call, outcome) for call, outcome in zip(calls, outcomes, strict=True)]
        ctx.emit("research.searched", {"searches": len(calls), "sources": len(sources), "failed": _failed(records)})
        return {"sources": sources, "candidates": candidates, "searches": [*state["searches"], *records]}

    def search_web(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Send every sub-question to the web search service; the results are sources like those of the bases."""
        assert self._web is not None, "scout refuses a job that wants the web where there is none"
        sources, candidates = list(state["sources"]), [list(each) for each in state["candidates"]]
        records = []
        for number, part in enumerate(state["plan"]):
            ctx.check()
            hits, error = self._ask(ctx, part, state["passages"])
            found: list[Found] = [{"kind": "web", "title": hit.title, "text": hit.text, "url": hit.url} for hit in hits]
            candidates[number] += _collect(sources, found)
            records.append(
                {
                    "query": part["query"],
                    "where": WEB,
                    "job_id": None,
                    "state": "failed" if error else "succeeded",
                    "found": len(hits),
                    "error": error,
                }
            )
        ctx.emit(
            "research.searched_web", {"searches": len(records), "sources": len(sources), "failed": _failed(records)}
        )
        return {"sources": sources, "candidates": candidates, "searches": [*state["searches"], *records]}

    def _ask(self, ctx: JobContext, part: Part, limit: int) -> tuple[list[WebHit], str | None]:
        assert self._web is not None
        shown, _ = ctx.for_tool({"query": part["query"]})
        try:
            with span(
                f"{Operation.RETRIEVAL} {WEB}",
                attributes={
                    semconv.OPERATION: Operation.RETRIEVAL.value,
                    semconv.DATA_SOURCE_ID: WEB,
                    semconv.REQUEST_TOP_K: float(limit),
                },
                kind=SpanKind.CLIENT,
            ):
                return self._web.search(shown["query"], limit), None
        except WebSearchFailed as failure:
            return [], failure.code


def _call(key: str, base: str, query: str, limit: int) -> ChildCall:
    payload = {
        "knowledge_base": base,
        "query": query[:_QUERY_MAX_CHARACTERS],
        "mode": "passages",
        "limit": limit,
    }
    return ChildCall(key, SEARCH, payload, deadline_seconds=_CHILD_SECONDS)


def _passages(outcome: ChildOutcome, base: str) -> list[Found]:
    passages = (outcome.result or {}).get("passages", []) if outcome.succeeded else []
    return [
        {
            "kind": "document",
            "title": passage["document"],
            "text": passage["text"],
            "knowledge_base": base,
            "document_id": passage["document_id"],
            "passage": passage["id"],
            "page": passage["page"],
            "section": passage["section"],
        }
        for passage in passages
    ]


def _record(call: ChildCall, outcome: ChildOutcome) -> dict[str, Any]:
    error = None if outcome.succeeded else str((outcome.error or {}).get("code") or outcome.state)
    if outcome.succeeded and outcome.result is None:
        error = "result_erased"
    return {
        "query": call.payload["query"],
        "where": call.payload["knowledge_base"],
        "job_id": encode(JOB, outcome.job_id),
        "state": outcome.state,
        "found": len((outcome.result or {}).get("passages", [])),
        "error": error,
    }


def _interleaved(found: Sequence[Sequence[Found]]) -> list[Found]:
    """The best of each, then the second of each: the ranks of two knowledge bases cannot be compared otherwise."""
    return [source for rank in zip_longest(*found) for source in rank if source is not None]


def _collect(sources: list[Found], found: Sequence[Found]) -> list[int]:
    """Add new results to `sources`; returns the numbers, from 1, of all results."""
    numbers = []
    for source in found:
        key = _identity(source)
        known = next((number for number, other in enumerate(sources, start=1) if _identity(other) == key), None)
        if known is None:
            sources.append(source)
            known = len(sources)
        if known not in numbers:
            numbers.append(known)
    return numbers


def _identity(source: Found) -> tuple[str | None, str]:
    return (source.get("passage") or source.get("url"), source["text"])


def _failed(records: Sequence[Mapping[str, Any]]) -> int:
    return sum(search["error"] is not None for search in records)
