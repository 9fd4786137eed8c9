"""Prints a job's result for a person: an answer with its sources, an ingest with its failures, or plain JSON."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from waybill.cli.answer_examples import answer_command
from waybill.cli.tables import STATE_STYLES, moment, took
from waybill.client.models import JobRecord

if TYPE_CHECKING:
    from rich.console import RenderableType

_QUOTE_CHARACTERS = 320

_PASSAGES_THAT_MAY_HELP = 3
_LEFT_OUT_CHARACTERS = 60


def job_report(job: JobRecord, *, streamed: bool = False, with_text: bool = True) -> "Iterator[RenderableType]":
    """The whole job. `streamed` omits its header, and `with_text=False` its text, when they are already on screen."""
    from rich.text import Text

    if not streamed:
        state = job.state if job.reason is None else f"{job.state} ({job.reason})"
        yield Text.assemble((job.id, "bold"), f"  {job.capability}  ", (state, STATE_STYLES.get(job.state, "")))
        attempts = f"attempt {job.attempt} of {job.max_attempts}"
        yield Text(f"created {moment(job.created_at)}  {attempts}  {took(job)}".rstrip(), style="dim")
    if job.error is not None:
        yield Text.assemble((f"{job.error.code}: ", "red"), job.error.message)
    for question in job.questions:
        yield f"{question.key}: {question.question}"
        yield Text(f"  answer: {answer_command(job.id, question)}", style="dim")
    if job.result is not None:
        yield from _result(job, with_text=with_text)
    if job.usage:
        yield cost_line(job)


def _result(job: JobRecord, *, with_text: bool) -> "Iterator[RenderableType]":
    result = job.result or {}
    if job.capability == "knowledge.search":
        yield from search_report(result, with_text=with_text)
    elif job.capability == "knowledge.ingest":
        yield from ingest_report(job)
    else:
        yield json.dumps(result, indent=2, ensure_ascii=False)


def search_report(result: dict[str, Any], *, with_text: bool = True) -> "Iterator[RenderableType]":
    """An answer and its quotes; without an answer, the reason, or only the passages."""
    from rich.text import Text

    if result.get("answered") and with_text:
        yield ""
        yield Text(str(result.get("answer", "")))
    elif result.get("mode") == "answer" and not result.get("answered"):
        yield ""
        yield Text(_no_answer(result), style="yellow")
        if found := result.get("passages", [])[:_PASSAGES_THAT_MAY_HELP]:
            yield Text("These passages may help:", style="bold")
            yield from _passages(found)
    if result.get("citations"):
        yield from citations(result)
    elif result.get("mode") == "passages":
        yield from _passages(result.get("passages", []))


def citations(result: dict[str, Any]) -> "Iterator[RenderableType]":
    """Each verified quote with its document, page and section."""
    from rich.padding import Padding
    from rich.text import Text

    yield ""
    yield Text("Sources: every quote was found word for word in its document", style="bold")
    for number, citation in enumerate(result.get("citations", []), start=1):
        yield Text.assemble((f"[{number}] ", "bold cyan"), (str(citation["document"]), "bold"), place(citation))
        yield Padding(Text(f"“{shorten(str(citation['quote']))}”", style="italic"), (0, 0, 0, 4), expand=False)


def place(found: dict[str, Any]) -> str:
    """Location in the document: page, section and characters, where known."""
    parts = [f"page {found['page']}" if found.get("page") else "", str(found.get("section") or "")]
    parts.append(f"characters {found['start']}-{found['end']}")
    return ", " + ", ".join(part for part in parts if part)


def ingest_report(job: JobRecord) -> "Iterator[RenderableType]":
    """How many documents were read, and which failed."""
    from rich.text import Text

    result = job.result or {}
    counts = result.get("counts", {})
    if job.error is not None:
        yield Text.assemble((f"{job.error.code}: ", "red"), job.error.message)
    for document in result.get("documents", []):
        if document.get("status") == "failed":
            message = (document.get("error") or {}).get("message", "it could not be read")
            yield Text.assemble(("✗ ", "red"), (str(document["name"]), "bold"), f": {message}")
        elif document.get("left_out"):
            yield Text.assemble((str(document["name"]), "bold"), f": left out {_left_out(document['left_out'])}")
    if counts:
        pages = sum(document.get("pages") or 0 for document in result.get("documents", []))
        paged = f", {pages} pages in those that have pages" if pages else ""
        yield Text(
            f"{counts['ingested']} read, {counts['unchanged']} unchanged, {counts['failed']} failed{paged}; "
            f"{counts['chunks']} passages, {counts['embedded']} newly embedded"
        )


def _left_out(parts: list[dict[str, Any]]) -> str:
    """Kinds of skipped content, each with its count and the beginning of the first."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        kinds.setdefault(str(part.get("what", "")), []).append(part)
    shown = []
    for kind, found in kinds.items():
        count = sum(int(part.get("count", 1)) for part in found)
        first = next((str(part["text"]) for part in found if part.get("text")), "")
        example = f" (“{shorten(first)[:_LEFT_OUT_CHARACTERS]}”)" if first else ""
        shown.append(f"{count} of {kind.replace('_', ' ')}{example}")
    return ", ".join(shown)


def money(amount: Decimal | None, *, priced: bool = True) -> str:
    """A cost for people. Calls without a price show as "not priced", never as $0.00."""
    if amount is None:
        return "not priced"
    known = f"${amount.normalize():f}" if amount else "$0.00"
    return known if priced else f"{known} and calls that are not priced"


def cost_line(job: JobRecord) -> "RenderableType":
    """Tokens, models and US dollars of a job."""
    from rich.text import Text

    tokens_in = sum(int(line.get("input_tokens", 0)) for line in job.usage)
    tokens_out = sum(int(line.get("output_tokens", 0)) for line in job.usage)
    models = ", ".join(dict.fromkeys(str(line.get("model", "?")) for line in job.usage))
    estimated = " (partly estimated)" if any(line.get("estimated") for line in job.usage) else ""
    cost = money(job.cost_usd, priced=job.priced)
    return Text(f"cost: {cost}  {tokens_in:,} tokens in, {tokens_out:,} out{estimated}  {models}", style="dim")


def shorten(text: str, characters: int = _QUOTE_CHARACTERS) -> str:
    """`text` on one line, cut at a word near `characters`."""
    flat = " ".join(text.split())
    if len(flat) <= characters:
        return flat
    return flat[:characters].rsplit(" ", 1)[0] + " …"


def _passages(passages: list[dict[str, Any]]) -> "Iterator[RenderableType]":
    from rich.padding import Padding
    from rich.text import Text

    for number, passage in enumerate(passages, start=1):
        yield Text.assemble((f"{number:>2} ", "bold cyan"), (str(passage["document"]), "bold"), place(passage))
        yield Padding(Text(shorten(str(passage["text"]))), (0, 0, 0, 4), expand=False)


def _no_answer(result: dict[str, Any]) -> str:
    return {
        "nothing_found": "nothing in the documents resembles the question",
        "not_in_documents": "no sentence in the documents clearly answers this",
        "not_supported": "the model named figures that stand in none of its quotes, so the answer is withheld",
        "not_verified": "the model answered, but none of its quotes stands in the documents, so the answer is withheld",
    }.get(str(result.get("no_answer")), "no answer")
