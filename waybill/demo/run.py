"""Implements ``waybill demo``: the product at work on this machine, everything real and over HTTP."""

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from core.knowledge import samples
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError
from waybill.cli.output import Output
from waybill.demo.place import Place, find_corpus, make_key, open_place
from waybill.demo.script import LIVE_QUESTION, MACHINE_PRICES, OTHER_QUESTIONS
from waybill.demo.services import Services

if TYPE_CHECKING:
    from waybill.client import Job, WaybillClient

_LABEL = {"source": "demo"}


def run_demo(output: Output, *, api_port: int | None = None, flower: bool = True) -> None:
    """Start a stack or use the running one, ingest the sample documents, ask, show the answers, and end.

    Under ``--json`` prints one document: the ingest, the answers with their citations, times and costs, the addresses.
    Raises `CliError` that names the parts that failed, `StackError` when nothing starts.
    """
    from waybill.client import WaybillClient

    began = monotonic()
    corpus = find_corpus()
    with open_place(output, api_port=api_port, flower=flower) as place:
        key = make_key(place.settings)
        with WaybillClient(place.url, key) as client:
            try:
                _set_prices(client)
                ingested = _ingest(client, corpus, place, output)
                live, others = _ask(client, ingested["knowledge_base"], place, output)
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
        _where_to_look(place, key, output)
        seconds = monotonic() - began
        if output.as_json:
            output.document(
                {
                    **_document(ingested, live, others, place=place, seconds=seconds),
                    "services": services,
                }
            )
        output.show("", f"That took {seconds:.0f} seconds.")
        if place.is_ours:
            output.show("`make up` starts it again and keeps it running; running the demo again is quicker.")
    if failed := _failed_parts(live, others, services):
        raise CliError(
            f"not everything in the demo worked: {'; '.join(failed)}",
            remedy=f"`waybill up`, then look at the logs in {place.settings.home / 'logs'}",
            code="demo_failed",
            exit_code=Exit.FAILED,
        )


def _ingest(client: "WaybillClient", corpus: Any, place: Place, output: Output) -> dict[str, Any]:
    from waybill.cli.knowledge import ingest_paths

    _heading(output, "1. Documents", f"from {corpus}")
    base, is_new = client.knowledge_bases.ensure(samples.NAME, samples.DESCRIPTION)
    output.show(f"knowledge base {samples.NAME} ({base.id}), {'new' if is_new else 'there already'}")
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


def _set_prices(client: "WaybillClient") -> None:
    known = {price.unit for price in client.prices.list(provider="local") if price.applies_to == "organization"}
    for unit, usd_per_unit in MACHINE_PRICES.items():
        if unit not in known:
            client.prices.set("local", "*", unit, usd_per_unit)


def _failed_parts(live: "Job", others: list["Job"], services: dict[str, Any]) -> list[str]:
    failed = [f"the question asked live ({live.id}) has no verified quote"]
    if (live.result or {}).get("citations"):
        failed = []
    failed += [f"{job.capability} {job.id} {job.state}" for job in (live, *others) if job.state != "succeeded"]
    failed += [f"{name} {job['id']} {job['state']}" for name, job in services.items() if job["state"] != "succeeded"]
    return failed


def _give_up(place: Place, key: str) -> None:
    """Cancel the demo's jobs: jobs are durable, and the next start would resume them."""
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


def _where_to_look(place: Place, key: str, output: Output) -> None:
    from waybill.cli.stack import addresses
    from waybill.stack.console_link import console_link

    _heading(output, "Where to look" if not place.is_ours else "Where to look while it runs", "")
    link = console_link(place.settings, place.url, key)
    output.show(*addresses(place.url, link, place.flower_url, place.flower_password))


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
