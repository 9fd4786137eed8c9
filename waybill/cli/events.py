"""``waybill events``: what happens in the project."""

from typing import Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="Events: everything that happens in the project.", epilog=EPILOG)

_GAP = "gap"


@app.callback()
def events() -> None:
    """Events: everything that happens in the project."""


@app.command(epilog=EPILOG)
def tail(
    after: Annotated[
        str | None, typer.Option(show_default="now", metavar="CURSOR", help="Where to begin; 0: everything kept.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option("--type", show_default="all", help="A type. Repeatable.")] = None,
    capability: Annotated[list[str] | None, typer.Option(show_default="all", help="A capability. Repeatable.")] = None,
    state: Annotated[list[str] | None, typer.Option(show_default="all", help="A job's state. Repeatable.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", "-m", show_default=False, metavar="NAME=VALUE", help="A label of jobs. Repeatable."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for what happens next.")] = True,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show events as they happen, across restarts of the API, until Ctrl-C.

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
                    output.note("a part of this history is past its retention")
                else:
                    at = "" if event.created_at is None else f"{event.created_at:%H:%M:%S} "
                    output.write(f"{at}{event.job_id} {event.type} {event.capability}\n")
    finally:
        if cursor is not None and not as_json:
            output.note(f"go on from here with --after {cursor}")


def _labels(given: "list[str] | tuple[str, ...]") -> dict[str, str]:
    labels = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise typer.BadParameter("write NAME=VALUE", param_hint="--metadata")
        labels[name] = value
    return labels
