"""``waybill quote``: estimates what a job will cost."""

from typing import Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.jobs import read_input
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output


def register(app: typer.Typer, rich_help_panel: str) -> None:
    """Add the command."""
    app.command(rich_help_panel=rich_help_panel, epilog=EPILOG)(quote)


def quote(
    capability: Annotated[
        str,
        typer.Argument(metavar="CAPABILITY", help="The capability, as for `waybill jobs submit`.", show_default=False),
    ],
    input_json: Annotated[
        str | None,
        typer.Option("--input", "-i", metavar="JSON", show_default=False, help="The input: JSON, @FILE, or -."),
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="NAME=VALUE", show_default=False, help="Set one field of the input. Repeatable."
        ),
    ] = None,
    max_cost: Annotated[
        str | None, typer.Option(metavar="USD", show_default=False, help="Maximum cost that the job would have.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(show_default=False, help="Compare only with jobs that spent most on this model.")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Estimate what a job will cost, based on similar past jobs. Nothing is submitted.

    Example: waybill quote knowledge.search -s knowledge_base=kb_… -s query='What does a claim need?'
    """
    output = Output(as_json=as_json)
    payload = read_input(input_json, assign or [])
    with connect(url, api_key) as client:
        found = client.quotes.make(capability, payload, max_cost_usd=max_cost, model=model)
    if as_json:
        output.document(found.as_json())
        return
    if found.p50_usd is None:
        output.show("not enough similar jobs for a quote")
    else:
        output.show(
            f"half of such jobs cost at most {found.p50_usd} USD, nine in ten at most {found.p90_usd} USD"
            f" ({found.jobs:,} jobs: {found.basis.replace('_', ' ')})"
        )
    if found.cap_usd is not None:
        by = "its own cap" if found.capped_by == "max_cost_usd" else f"the budget {found.capped_by}"
        output.show(f"never more than {found.cap_usd} USD: {by}")
