"""``waybill retention``: how long a project keeps its data."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, ClassName, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waybill.client.models import Clock, Scope

app = typer.Typer(no_args_is_help=True, help="Set how long prompts, results and records are kept.", epilog=EPILOG)


class Kind(StrEnum):
    """Data with a retention period; a test compares it with what the API accepts."""

    PAYLOADS = "payloads"
    EVENTS = "events"
    JOBS = "jobs"
    LEDGER = "ledger"
    AUDIT = "audit"


What = Annotated[
    Kind, typer.Argument(metavar="KIND", help="payloads, events, jobs, ledger or audit.", show_default=False)
]
ForAll = Annotated[bool, typer.Option("--organization", help="Apply to every project without its own setting.")]
OfClass = Annotated[
    ClassName | None,
    typer.Option("--data-class", show_default=False, help="Only payloads of jobs of this class and above."),
]


@app.command(epilog=EPILOG)
def show(url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show how long this project keeps each kind of data, and where that is set."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.retention.clocks()
    _show(output, found)


@app.command("set", epilog=EPILOG)
def set_clock(
    kind: What,
    days: Annotated[str, typer.Argument(metavar="DAYS", help="Whole number of days, or forever.")],
    organization: ForAll = False,
    data_class: OfClass = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Set how long a kind of data is kept. Older data is permanently deleted within the hour.

    The shortest retention period that applies to a job wins, so one for a data class can only shorten it.

    Example: waybill retention set payloads 7 --data-class restricted
    """
    if days != "forever" and not (days.isascii() and days.isdigit()):
        raise typer.BadParameter("expected a whole number of days, or forever", param_hint="DAYS")
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        number = None if days == "forever" else int(days)
        found = client.retention.set(kind, number, _scope(organization), data_class=data_class)
    _show(output, found)


@app.command(epilog=EPILOG)
def reset(
    kind: What,
    organization: ForAll = False,
    data_class: OfClass = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Remove this project's retention period, or the organization's. The next broader one then applies."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.retention.remove(kind, _scope(organization), data_class=data_class)
    _show(output, found)


def _scope(organization: bool) -> "Scope":
    return "organization" if organization else "project"


def _show(output: Output, clocks: "Sequence[Clock]") -> None:
    from waybill.cli.tables import table

    if output.as_json:
        output.document({"data": [each.as_json() for each in clocks]})
        return
    made = table("KIND", "DATA CLASS", "KEPT", "SET BY")
    for clock in clocks:
        kept = "forever" if clock.days is None else f"{clock.days} days"
        made.add_row(clock.kind, f"{clock.data_class} and above" if clock.data_class else "", kept, clock.source)
    output.show(made)
