"""``waybill batches``: run many jobs from one file."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.output import Output, open_stdout

if TYPE_CHECKING:
    from waybill.client import WaybillClient
    from waybill.client.models import Batch

app = typer.Typer(no_args_is_help=True, help="Run many jobs from one file, and track them together.", epilog=EPILOG)

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id: batch_….", show_default=False)]
_POLL_SECONDS = 1.0


@app.command(epilog=EPILOG)
def submit(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="File of JSON lines, one per job.", show_default=False)
    ],
    capability: Annotated[
        str | None, typer.Option(show_default=False, help="Capability of the lines that do not name one.")
    ] = None,
    max_cost: Annotated[
        str | None,
        typer.Option("--max-cost", metavar="USD", show_default=False, help="Maximum cost of the whole batch."),
    ] = None,
    max_line_cost: Annotated[
        str | None,
        typer.Option("--max-line-cost", metavar="USD", show_default=False, help="Maximum cost of each line."),
    ] = None,
    priority: Annotated[str, typer.Option(help="low, normal or high.")] = "low",
    deadline: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            min=1,
            show_default=False,
            help="Expire jobs that have not ended this long after submission.",
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", "-m", show_default=False, metavar="NAME=VALUE", help="A custom label. Repeatable."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the batch until it ends.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Submit a file of JSON lines as one batch.

    Example: waybill batches submit questions.jsonl --capability knowledge.search --max-cost 5 --watch
    """
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        sent = client.files.upload(file, content_type="application/x-ndjson")
        batch = client.batches.create(
            input_file_id=sent.id,
            capability=capability,
            priority=priority,
            max_cost_usd=max_cost,
            max_line_cost_usd=max_line_cost,
            deadline_seconds=deadline,
            metadata=_labels(metadata or []),
        )
        if watch:
            output.note(f"{batch.id}; Ctrl-C leaves it running")
            batch = _watch(client, output, batch.id)
    _show(output, batch, as_json=as_json)


@app.command("list", epilog=EPILOG)
def list_batches(
    state: Annotated[
        list[str] | None, typer.Option(show_default="all", help="Only batches in this state. Repeatable.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the project's batches, newest first."""
    from waybill.cli.answers import money
    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.batches.list(states=state or (), limit=limit, cursor=cursor)
    if as_json:
        output.document(page.as_json())
        return
    if not page.data:
        output.note("no batches; submit one with: waybill batches submit FILE")
        return
    made = table("BATCH", "STATE", "LINES", "ENDED", "FAILED", "COST", "CREATED")
    for each in page.data:
        counts = each.counts
        numbers = (str(counts.total), str(counts.ended), str(counts.failed), money(each.cost_usd, priced=each.priced))
        made.add_row(each.id, each.state, *numbers, moment(each.created_at))
    output.show(made)
    output.more(page.next_cursor)


@app.command(epilog=EPILOG)
def show(batch: BatchId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show a batch: its counts, its cost, why it waits, and errors in its file."""
    with connect(url, api_key) as client:
        _show(Output(as_json=as_json), client.batches.get(batch), as_json=as_json)


@app.command(epilog=EPILOG)
def watch(batch: BatchId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show a batch's progress until it ends. Ctrl-C stops watching, not the batch."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        ended = _watch(client, output, batch)
    _show(output, ended, as_json=as_json)


@app.command(epilog=EPILOG)
def cancel(batch: BatchId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Cancel a batch: no more of its jobs start, and running ones are asked to stop."""
    with connect(url, api_key) as client:
        _show(Output(as_json=as_json), client.batches.cancel(batch), as_json=as_json)


@app.command(epilog=EPILOG)
def results(
    batch: BatchId,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", dir_okay=False, show_default="standard output", help="File to write; must not exist."
        ),
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Skip lines up to this number.")] = 0,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Write the results so far as JSON lines, in the order of the input.

    Example: waybill batches results batch_01… --output answers.jsonl
    """
    with connect(url, api_key) as client, nullcontext(open_stdout()) if to is None else to.open("xb") as written:
        client.batches.download(batch, written, after=after)


def _watch(client: "WaybillClient", output: Output, batch_id: str) -> "Batch":
    from time import sleep

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from waybill.cli.answers import money

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.messages, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        while True:
            batch = client.batches.get(batch_id)
            cost = money(batch.cost_usd, priced=batch.priced)
            held = f", waits: {batch.delayed_reason}" if batch.delayed_reason else ""
            progress.update(
                task,
                description=f"{batch.state}, {batch.counts.failed} failed, {cost}{held}",
                completed=batch.counts.ended,
                total=batch.counts.total or None,
            )
            if batch.has_ended:
                return batch
            sleep(_POLL_SECONDS)


def _show(output: Output, batch: "Batch", *, as_json: bool) -> None:
    from waybill.cli.answers import money

    if as_json:
        output.document(batch.as_json())
        return
    counts = batch.counts
    output.show(f"{batch.id}  {batch.state}")
    parts = ("queued", "running", "succeeded", "failed", "cancelled", "expired")
    summary = ", ".join(f"{getattr(counts, part)} {part}" for part in parts if getattr(counts, part))
    output.show(f"lines   {counts.total}" + (f": {summary}" if summary else ""))
    cap = f" of at most {money(batch.max_cost_usd)}" if batch.max_cost_usd is not None else ""
    output.show(f"cost    {money(batch.cost_usd, priced=batch.priced)}{cap}")
    if batch.delayed_reason:
        output.show(f"waits   {batch.delayed_reason}")
    for problem in batch.errors:
        where = f"line {problem.line}" + (f", {problem.path}" if problem.path else "")
        output.show(f"wrong   {where}: {problem.message}")
    if batch.bad_lines > len(batch.errors):
        output.show(f"        … {batch.bad_lines} invalid lines in total")
    if batch.results_file_id:
        output.note(f"results: waybill batches results {batch.id}")


def _labels(given: list[str]) -> dict[str, str] | None:
    labels = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise typer.BadParameter("expected NAME=VALUE", param_hint="--metadata")
        labels[name] = value
    return labels or None
