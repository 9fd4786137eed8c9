"""``waybill smoke`` checks that an installation works, end to end."""

from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.options import ApiKey, Json
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.smoke.checks import Outcome

_MARKS = {"passed": ("✓ ", "green"), "failed": ("✗ ", "red"), "skipped": ("- ", "dim")}


def register(app: typer.Typer, rich_help_panel: str) -> None:
    """Add the command to the root command."""
    app.command(epilog=EPILOG, rich_help_panel=rich_help_panel)(smoke)


def smoke(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL", envvar="WAYBILL_URL", show_default="the stack on this machine", help="URL of the API."
        ),
    ] = None,
    receive: Annotated[
        str | None,
        typer.Option(
            "--receive",
            metavar="URL",
            show_default=False,
            help="Local address that the deliverer can send a webhook to. Without it, webhooks are not checked.",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Maximum seconds per job.")] = 120.0,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Check that an installation works: runs one job of each kind and checks its events, webhook and waybill.

    Creates a knowledge base and a file, and deletes them afterwards. Exit code 1 if a check fails.

    Example: waybill smoke https://waybill.example
    """
    from dataclasses import asdict

    from rich.text import Text

    from waybill.smoke.checks import Smoke, receiving

    output = Output(as_json=as_json)

    def report(outcome: "Outcome") -> None:
        name = (outcome.name, "bold")
        output.show(
            Text.assemble(_MARKS[outcome.status], name, f": {outcome.found}", (f"  {outcome.seconds:.1f} s", "dim"))
        )

    with connect(url, api_key) as client, receiving(receive) as receiver:
        outcomes = Smoke(client, timeout_seconds=timeout, receiver=receiver, on_outcome=report).run()
    failed = sum(each.status == "failed" for each in outcomes)
    if as_json:
        output.document({"checks": [asdict(each) for each in outcomes], "failed": failed})
    if failed:
        raise typer.Exit(Exit.FAILED)
