"""``waybill events``: follow the project's events."""

from typing import Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="Follow the project's events.", epilog=EPILOG)

_GAP = "gap"


@app.callback()
def events() -> None:
    """Follow the project's events."""


@app.command(epilog=EPILOG)
def tail(
    after: Annotated[
        str | None,
        typer.Option(
            show_default="now", metavar="CURSOR", help="Start after this cursor; 0 starts at the oldest event."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", show_default="all", help="Only events of this type. Repeatable.")
    ] = None,
    capability: Annotated[
        list[str] | None, typer.Option(show_default="all", help="Only events of this capability. Repeatable.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(show_default="all", help="Only events of jobs in this state. Repeatable.")
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            "-m",
            show_default=False,
            metavar="NAME=VALUE",
            help="Only events of jobs with this label. Repeatable.",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Keep waiting for new events.")] = True,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show events as they happen, until Ctrl-C. Reconnects after an API restart.

    Example: waybill events tail --type job.failed --json
    """
    output = Output(as_json=as_json)
    cursor = after
    try:
        with connect(url, api_key) as client:
            for event in client.events.stream(
                after=after,
                types=kind or (),
                capabilities=capability or (),
                states=state or (),
                metadata=_labels(metadata or ()),
                follow=follow,
                on_reconnect=lambda reason: output.note(f"{reason}; reconnecting"),
            ):
                cursor = event.cursor or cursor
                if as_json:
                    output.record(event.as_json())
                elif event.type == _GAP:
                    output.note("some events are past their retention period and were skipped")
                else:
                    at = "" if event.created_at is None else f"{event.created_at:%H:%M:%S} "
                    output.write(f"{at}{event.job_id} {event.type} {event.capability}\n")
    finally:
        if cursor is not None and not as_json:
            output.note(f"resume from here with --after {cursor}")


def _labels(given: "list[str] | tuple[str, ...]") -> dict[str, str]:
    labels = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise typer.BadParameter("expected NAME=VALUE", param_hint="--metadata")
        labels[name] = value
    return labels
