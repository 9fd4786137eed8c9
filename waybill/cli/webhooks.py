"""``waybill webhooks``: manage receivers of events and their deliveries."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from waybill.client.models import WebhookDelivery, WebhookEndpoint

app = typer.Typer(no_args_is_help=True, help="Manage receivers of events and their deliveries.", epilog=EPILOG)

EndpointId = Annotated[
    str, typer.Argument(metavar="ENDPOINT_ID", help="The endpoint's id, for example whe_01k….", show_default=False)
]
DeliveryId = Annotated[
    str, typer.Argument(metavar="DELIVERY_ID", help="The delivery's id, for example msg_01k….", show_default=False)
]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", show_default="all", help="Event to send, for example job.failed. Repeatable."),
]
Overlap = Annotated[int, typer.Option(min=0, max=168, help="Hours for which the old secret also signs.")]


@app.command(epilog=EPILOG)
def create(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="https://…", show_default=False)],
    event: Events = None,
    description: Annotated[str, typer.Option(help="Description.")] = "",
    include_result: Annotated[bool, typer.Option("--include-result", help="Include results.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Add an endpoint and print its secret once.

    Example: waybill webhooks create https://example.com/hooks/waybill --event job.succeeded --event job.failed
    """
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        made = client.webhooks.create(target, event or (), description=description, include_result=include_result)
    _answer_with_secret(output, made.as_json(), made.secret)


@app.command("list", epilog=EPILOG)
def list_endpoints(
    limit: Limit = 50, cursor: Cursor = None, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """List the project's endpoints."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.webhooks.list(limit=limit, cursor=cursor)
    output.page(page, _endpoints_table, "no endpoints; add one with: waybill webhooks create https://…")


@app.command(epilog=EPILOG)
def update(
    endpoint_id: EndpointId,
    target: Annotated[str | None, typer.Option("--target", show_default=False, help="New URL.")] = None,
    event: Events = None,
    description: Annotated[str | None, typer.Option(show_default=False, help="Description.")] = None,
    include_result: Annotated[
        bool | None, typer.Option("--include-result/--no-result", show_default=False, help="Include results.")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Change an endpoint. Pending deliveries go to the new URL."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        changed = client.webhooks.update(
            endpoint_id, url=target, events=event, description=description, include_result=include_result
        )
        _answer(output, changed)


@app.command(epilog=EPILOG)
def pause(endpoint_id: EndpointId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Pause an endpoint. Deliveries are held until it is resumed."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        _answer(output, client.webhooks.pause(endpoint_id))


@app.command(epilog=EPILOG)
def resume(endpoint_id: EndpointId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Resume an endpoint after a pause, or after Waybill disabled it."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        _answer(output, client.webhooks.resume(endpoint_id))


@app.command(epilog=EPILOG)
def remove(endpoint_id: EndpointId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Remove an endpoint. Its pending deliveries are cancelled."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        _answer(output, client.webhooks.remove(endpoint_id))


@app.command(epilog=EPILOG)
def rotate(
    endpoint_id: EndpointId,
    overlap_hours: Overlap = 24,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Create a new secret and print it. Messages carry both signatures during the overlap."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        made = client.webhooks.rotate(endpoint_id, overlap_seconds=overlap_hours * 3600)
    _answer_with_secret(output, made.as_json(), made.secret)


@app.command(epilog=EPILOG)
def secret(
    rotate_it: Annotated[
        bool, typer.Option("--rotate", help="Create a secret, replacing any earlier one, and print it.")
    ] = False,
    overlap_hours: Overlap = 24,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show when the project's secret was created. It signs webhooks to receivers that jobs name themselves."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        if rotate_it:
            found = client.webhooks.rotate_secret(overlap_seconds=overlap_hours * 3600)
        else:
            found = client.webhooks.secret()
    if found.secret:
        _answer_with_secret(output, found.as_json(), found.secret)
    elif as_json:
        output.document(found.as_json())
    elif found.rotated_at is None:
        output.note("no secret yet; create one with: waybill webhooks secret --rotate")
    else:
        output.show(f"created {found.rotated_at:%Y-%m-%d %H:%M} UTC")


@app.command("test", epilog=EPILOG)
def send_test(endpoint_id: EndpointId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Send a test message. See its outcome with `waybill webhooks delivery`."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        _answer_delivery(output, client.webhooks.test(endpoint_id))


@app.command(epilog=EPILOG)
def deliveries(
    endpoint: Annotated[
        str | None, typer.Option(show_default=False, help="Only deliveries to this endpoint: whe_….")
    ] = None,
    job: Annotated[str | None, typer.Option(show_default=False, help="Only deliveries about this job: job_….")] = None,
    state: Annotated[
        str | None, typer.Option(show_default=False, help="pending, delivered, failed or cancelled.")
    ] = None,
    event: Annotated[str | None, typer.Option(show_default=False, help="Only deliveries of this event.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.webhooks.deliveries(
            endpoint_id=endpoint, job_id=job, state=state, event=event, limit=limit, cursor=cursor
        )
    output.page(page, _deliveries_table)


@app.command(epilog=EPILOG)
def delivery(delivery_id: DeliveryId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show a delivery's body and attempts."""
    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.webhooks.delivery(delivery_id)
    if as_json:
        output.document(found.as_json())
        return
    output.show(_deliveries_table([found]))
    attempts = table("ATTEMPT", "BEGAN", "TOOK", "STATUS", "ERROR")
    for each in found.attempt_list:
        status = "" if each.status is None else str(each.status)
        attempts.add_row(str(each.number), moment(each.began_at), f"{each.latency_ms} ms", status, each.error or "")
    output.show(attempts)
    output.show(found.body or "the body is past its retention period")


@app.command(epilog=EPILOG)
def redeliver(
    what: Annotated[str, typer.Argument(metavar="ID", help="Id of a delivery, or of an endpoint with --since.")],
    since: Annotated[
        str | None,
        typer.Option(
            show_default=False, metavar="TIME", help="Start of the period: 2026-11-23T05:00:00Z, or 6h or 2d ago."
        ),
    ] = None,
    with_delivered: Annotated[
        bool, typer.Option("--with-delivered", help="With --since: include successful deliveries.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Send a delivery again, or all that did not reach an endpoint since a given time.

    Example: waybill webhooks redeliver whe_01jd3q8v9tfq8a1b2c3d4e5f6g --since 6h
    """
    output = Output(as_json=as_json)
    if since is None:
        with connect(url, api_key) as client:
            _answer_delivery(output, client.webhooks.redeliver(what))
        return
    moment = _moment(since)
    with connect(url, api_key) as client:
        count = client.webhooks.redeliver_since(what, moment, with_delivered=with_delivered)
    output.answer({"deliveries": count}, f"{count} deliveries will be sent again")


def _moment(text: str) -> datetime:
    units = {"m": "minutes", "h": "hours", "d": "days"}
    if text[:-1].isascii() and text[:-1].isdigit() and text[-1] in units:
        return datetime.now(UTC) - timedelta(**{units[text[-1]]: int(text[:-1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(
            "expected a time such as 2026-11-23T05:00:00Z, or a duration such as 30m, 6h or 2d", param_hint="--since"
        )
    return found


def _answer(output: Output, endpoint: "WebhookEndpoint") -> None:
    output.answer(endpoint.as_json(), _endpoints_table([endpoint]))


def _answer_with_secret(output: Output, document: dict[str, Any], shown: str | None) -> None:
    if output.as_json:
        output.document(document)
        return
    if "id" in document:
        output.note(f"endpoint {document['id']}; store its secret now; it is not shown again:")
    else:
        output.note("store the secret now; it is not shown again:")
    output.write(f"{shown}\n")


def _endpoints_table(endpoints: "Sequence[WebhookEndpoint]") -> "Table":
    from waybill.cli.tables import table

    made = table("ID", "URL", "EVENTS", "STATE")
    for each in endpoints:
        state = f"{each.state} ({each.disabled_reason})" if each.disabled_reason else each.state
        failing = f", failing since {each.failing_since:%Y-%m-%d %H:%M} UTC" if each.failing_since else ""
        made.add_row(each.id, each.url, ", ".join(each.events) or "all", state + failing)
    return made


def _answer_delivery(output: Output, delivery: "WebhookDelivery") -> None:
    output.answer(delivery.as_json(), _deliveries_table([delivery]))


def _deliveries_table(found: "Sequence[WebhookDelivery]") -> "Table":
    from waybill.cli.tables import moment, table

    made = table("ID", "EVENT", "ABOUT", "STATE", "ATTEMPTS", "LAST", "NEXT")
    for each in found:
        last = each.last_error or ("" if each.last_status is None else str(each.last_status))
        following = moment(each.next_attempt_at)
        made.add_row(each.id, each.event, each.job_id or "", each.state, str(each.attempts), last, following)
    return made
