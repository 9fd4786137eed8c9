"""``waybill up``, ``demo`` and ``doctor``: everything on one machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.options import Json
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.stack.supervisor import Running

PANEL = "Everything on this machine"

ApiPort = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        show_default="8080, or a free one",
        help="Where the API listens; 0 picks a free port.",
    ),
]
Guard = Annotated[
    bool,
    typer.Option(
        "--guard", help="Also start the guard's analyzer, which holds its models in memory; see `waybill guard`."
    ),
]
NoFlower = Annotated[bool, typer.Option("--no-flower", help="Leave out Flower, the view on the workers.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command(epilog=EPILOG, rich_help_panel=PANEL)(demo)
    app.command(epilog=EPILOG, rich_help_panel=PANEL)(up)
    app.command(epilog=EPILOG, rich_help_panel=PANEL)(doctor)


def up(port: ApiPort = None, no_flower: NoFlower = False, guard: Guard = False, as_json: Json = False) -> None:
    """Start everything on this machine and keep it running until Ctrl-C: database, queue, API, workers, Flower.

    Nothing has to be installed beforehand, and everything is kept in WAYBILL_HOME. With DATABASE_URL or REDIS_URL set,
    those servers are used instead of the built-in ones. With --json, one line per thing that happens.
    """
    from waybill.cli.local import local_settings
    from waybill.cli.notices import teller
    from waybill.stack.supervisor import Stack

    output = Output(as_json=as_json)
    with Stack(local_settings(), flower=not no_flower, guard=guard, api_port=port, report=teller(output)) as stack:
        assert stack.running is not None
        _welcome(stack.running, output)
        stack.wait()
        output.note("stopping; running jobs are finished or handed back (Ctrl-C again to stop at once)")
    output.note("stopped")


def demo(port: ApiPort = None, no_flower: NoFlower = False, as_json: Json = False) -> None:
    """See it work, in a minute: start everything, read the sample documents, answer questions about them, and end.

    Uses the stack that is running here, if one is, and leaves it running. Running it again is quick: documents that
    have not changed are not read again.
    """
    from waybill.demo.run import run_demo

    run_demo(Output(as_json=as_json), api_port=port, flower=not no_flower)


def doctor(as_json: Json = False) -> None:
    """Look at everything Waybill needs, and say how to mend what is wrong. Exit code 1 if something does not work."""
    from dataclasses import asdict

    from rich.text import Text

    from waybill.cli.local import local_settings
    from waybill.stack.doctor import run_checks

    output = Output(as_json=as_json)
    checks = run_checks(local_settings())
    failed = sum(check.status == "fail" for check in checks)
    if as_json:
        output.document({"checks": [asdict(check) for check in checks], "failed": failed})
    marks = {"ok": ("✓ ", "green"), "warn": ("! ", "yellow"), "fail": ("✗ ", "red")}
    for check in checks:
        output.show(Text.assemble(marks[check.status], (check.name, "bold"), f": {check.found}"))
        if check.remedy:
            output.show(Text(f"  {check.remedy}"))
    if failed:
        raise typer.Exit(Exit.FAILED)


def _welcome(running: "Running", output: Output) -> None:
    if output.as_json:
        output.record(
            {
                "event": "ready",
                "url": running.url,
                "flower_url": running.flower_url,
                "home": str(running.home),
                "logs": str(running.logs),
                "metrics": running.metrics,
                "prometheus_targets": str(running.targets),
            }
        )
        return
    output.show(*addresses(running.url, running.flower_url, running.flower_password))
    output.show(f"Logs    {running.logs}")
    output.show(f"Metrics {running.targets} tells Prometheus where", "")
    output.show("In another terminal: waybill kb create NAME, waybill kb ingest NAME FOLDER, waybill jobs submit …")
    output.note("Ctrl-C stops everything", style="dim")


def addresses(url: str, flower_url: str | None, flower_password: str) -> list[str]:
    """The lines that say where to look with a browser."""
    lines = ["", f"API     {url}", f"Docs    {url}/docs"]
    if flower_url is not None:
        lines.append(f"Flower  {flower_url}  user waybill, password {flower_password}")
    return lines
