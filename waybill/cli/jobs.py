"""``waybill jobs``: submit, read, watch, list and cancel."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, ClassName, Cursor, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.client import Job, WaybillClient

app = typer.Typer(no_args_is_help=True, help="Submit jobs, follow them and see their results.", epilog=EPILOG)

JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id, for example job_01k….", show_default=False)]


@app.command(epilog=EPILOG)
def submit(
    capability: Annotated[
        str,
        typer.Argument(
            metavar="CAPABILITY", help="The capability to run, for example knowledge.search.", show_default=False
        ),
    ],
    input_json: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", metavar="JSON", show_default=False, help="The input: JSON, @FILE, or - to read stdin."
        ),
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            show_default=False,
            help="Set one field of the input. VALUE is parsed as JSON if possible, else used as text. Repeatable.",
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            "-m",
            metavar="NAME=VALUE",
            show_default=False,
            help="A custom label stored with the job. Repeatable.",
        ),
    ] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default="normal")] = None,
    run_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default="now", help="Earliest start, such as 2026-01-31T08:00:00Z."),
    ] = None,
    deadline: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS", show_default=False, help="Expire the job if it has not ended this long after submission."
        ),
    ] = None,
    max_cost: Annotated[
        str | None,
        typer.Option(metavar="USD", show_default=False, help="Maximum cost, such as 0.25. Reserved from the budgets."),
    ] = None,
    data_class: Annotated[
        ClassName | None, typer.Option("--data-class", show_default="internal", help="How sensitive the input is.")
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", show_default=False, help="Send webhooks to this URL, signed with the project's secret."
        ),
    ] = None,
    webhook_event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT",
            show_default="all events of the job",
            help="Only this event, such as job.failed. Repeatable.",
        ),
    ] = None,
    webhook_result: Annotated[
        bool, typer.Option("--webhook-result", help="Include the result unless it is large.")
    ] = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            show_default="a new one",
            help="Repeated submissions with the same key and input create one job.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the job until it ends, like `jobs watch`.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait silently until the job ends, then print the result.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Submit a job and print its id. With --watch or --wait, print its result when it ends.

    Example: waybill jobs submit knowledge.search -s knowledge_base=kb_… -s query='What does a claim need?' --watch
    """
    output = Output(as_json=as_json)
    payload = read_input(input_json, assign or [])
    labels = dict(_pair(text, "--metadata") for text in metadata or [])
    if webhook is None and (webhook_event or webhook_result):
        raise typer.BadParameter("required with --webhook-event and --webhook-result", param_hint="--webhook")
    receiver = {"url": webhook, "events": webhook_event or [], "include_result": webhook_result} if webhook else None
    with connect(url, api_key) as client:
        job = client.jobs.submit(
            capability,
            payload,
            metadata=labels,
            priority=priority,
            run_at=run_at,
            deadline_seconds=deadline,
            max_cost_usd=max_cost,
            webhook=receiver,
            data_class=data_class,
            idempotency_key=idempotency_key,
        )
        if follow:
            output.note(f"submitted {job.id}", style="dim")
            watch_and_show(client, job.id, output, after=0)
            return
        if wait:
            job = client.jobs.wait(job.id)
        _print_job(job, output, brief=not wait)
    if wait:
        _exit_for(job)


@app.command(epilog=EPILOG)
def get(
    job_id: JobId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job ends.")] = False,
    timeline: Annotated[bool, typer.Option("--timeline", help="Draw a timeline of the job.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show a job's state, times, cost, and result or error."""
    from waybill.cli.timeline import draw, spans
    from waybill.cli.view import JobView

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        job = client.jobs.wait(job_id) if wait else client.jobs.get(job_id)
        _print_job(job, output)
        if timeline and job.is_terminal and not as_json:
            view = JobView()
            for event in client.jobs.events(job_id):
                view.fold(event)
            output.show("", *draw(spans(job.record, view)))
    if wait:
        _exit_for(job)


@app.command(epilog=EPILOG)
def watch(
    job_id: JobId,
    after: Annotated[int, typer.Option(metavar="EVENT", help="Start after this event id.", min=0)] = 0,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Follow a job live until it ends: steps, progress, and text as it is written.

    Resumes a broken connection where it stopped. With --json, prints one event per line. Exit code 1 if the job failed.
    """
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        watch_and_show(client, job_id, output, after=after)


@app.command("list", epilog=EPILOG)
def list_jobs(
    state: Annotated[
        list[str] | None, typer.Option(show_default=False, help="Only jobs in this state. Repeatable.")
    ] = None,
    capability: Annotated[str | None, typer.Option(show_default=False, help="Only jobs of this capability.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata", "-m", metavar="NAME=VALUE", show_default=False, help="Only jobs with this label. Repeatable."
        ),
    ] = None,
    shadows: Annotated[
        bool, typer.Option("--shadows", help="Only jobs of experiments' shadow arms, whose results were discarded.")
    ] = False,
    project: Annotated[
        str | None, typer.Option(metavar="PRJ_ID", show_default=False, help="Only jobs of this project.")
    ] = None,
    all_projects: Annotated[
        bool, typer.Option("--all-projects", help="Jobs of all projects of the organization. Needs organization:read.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Maximum number of results.")] = 20,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the project's jobs, newest first."""
    if project is not None and all_projects:
        raise typer.BadParameter("give either --project or --all-projects, not both")
    from waybill.cli.tables import jobs_table

    output = Output(as_json=as_json)
    labels = dict(_pair(text, "--metadata") for text in metadata or [])
    with connect(url, api_key) as client:
        page = client.jobs.list(
            states=state or (),
            capability=capability,
            metadata=labels,
            shadows=shadows,
            project="all" if all_projects else project,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        output.document(page.as_json())
        return
    if not page.data:
        output.note("no jobs")
        return
    output.show(jobs_table((job.record for job in page.data), with_projects=all_projects))
    output.more(page.next_cursor)


@app.command(epilog=EPILOG)
def cancel(job_id: JobId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Cancel a job. A running job stops at its next step; an ended job does not change."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        job = client.jobs.cancel(job_id)
    if as_json:
        output.document(job.as_json())
    elif job.state == "cancelled":
        output.show(f"{job.id} is cancelled")
    elif job.is_terminal:
        output.show(f"{job.id} had ended already: {job.state}")
    else:
        output.show(f"{job.id} was asked to stop")


@app.command(epilog=EPILOG)
def rate(
    job_id: JobId,
    score: Annotated[float, typer.Argument(min=0, max=1, help="From 0 (useless) to 1.", show_default=False)],
    comment: Annotated[str | None, typer.Option(show_default=False, help="A comment.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Rate the result of an ended job. The latest rating counts."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        given = client.jobs.rate(job_id, score, comment)
    output.answer(given.as_json(), f"{given.job_id} is rated {given.score:g}")


def read_input(text: str | None, assignments: list[str]) -> dict[str, Any]:
    """The input from ``--input`` (JSON, ``@file``, ``-``) with ``--set`` members over it. Raises `CliError`."""
    source = "--input"
    if text == "-":
        source, text = "stdin", sys.stdin.read()
    elif text is not None and text.startswith("@"):
        source = text[1:]
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CliError(f"cannot read {source}: {error}", code="input_unreadable", exit_code=Exit.USAGE) from error
    payload: Any = {}
    if text is not None:
        try:
            payload = json.loads(text)
        except ValueError as error:
            raise CliError(f"{source} is not JSON: {error}", code="input_not_json", exit_code=Exit.USAGE) from error
    if not isinstance(payload, dict):
        raise CliError(f"{source} must be a JSON object", code="input_not_object", exit_code=Exit.USAGE)
    for assignment in assignments:
        name, value = _pair(assignment, "--set")
        payload[name] = _json_or_text(value)
    return payload


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise CliError(f"{option} takes NAME=VALUE, not {text!r}", code="bad_pair", exit_code=Exit.USAGE)
    return name, value


def watch_and_show(client: "WaybillClient", job_id: str, output: Output, *, after: int) -> None:
    """Follow a job, print its result, and exit with 1 unless it succeeded."""
    from waybill.cli.watch import watch as follow_job

    try:
        view = follow_job(client, job_id, output, after=after)
    except KeyboardInterrupt:
        output.note(
            f"stopped watching; the job is still running: `waybill jobs watch {job_id}`, `waybill jobs cancel {job_id}`"
        )
        raise
    job = client.jobs.get(job_id)
    if not output.as_json:
        # The live view is cleared, so its text is printed again; plain lines stay on screen.
        _print_job(job, output, streamed=True, with_text=output.is_live or not view.text)
    _exit_for(job)


def _print_job(
    job: "Job", output: Output, *, brief: bool = False, streamed: bool = False, with_text: bool = True
) -> None:
    from waybill.cli.answers import job_report

    if output.as_json:
        output.document(job.as_json())
    elif brief:
        output.show(job.id)
        output.note(f"{job.state}; follow it with: waybill jobs watch {job.id}", style="dim")
    else:
        output.show(*job_report(job.record, streamed=streamed, with_text=with_text))


def _exit_for(job: "Job") -> None:
    if job.is_terminal and job.state != "succeeded":
        raise typer.Exit(Exit.FAILED)
