"""``waybill up``, ``demo`` and ``doctor``: everything on one machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.stack.supervisor import Running

PANEL = "Run on this machine"

ApiPort = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        show_default="8080, or a free one",
        help="Port of the API; 0 picks a free one.",
    ),
]
Guard = Annotated[
    bool,
    typer.Option(
        "--guard", help="Also start the guard's analyzer, which loads its models into memory; see `waybill guard`."
    ),
]
NoFlower = Annotated[bool, typer.Option("--no-flower", help="Do not start Flower, the dashboard of the workers.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command(epilog=EPILOG, rich_help_panel=PANEL)(demo)
    app.command(epilog=EPILOG, rich_help_panel=PANEL)(up)
    app.command(epilog=EPILOG, rich_help_panel=PANEL)(console)
    app.command(epilog=EPILOG, rich_help_panel=PANEL)(doctor)


def up(port: ApiPort = None, no_flower: NoFlower = False, guard: Guard = False, as_json: Json = False) -> None:
    """Start a complete stack on this machine and run it until Ctrl-C: database, queue, API, workers, Flower.

    Nothing else needs to be installed, and all data is stored in WAYBILL_HOME. If DATABASE_URL or REDIS_URL is set,
    those servers are used instead of the built-in ones. With --json, prints one line per event.
    """
    from waybill.cli.local import local_settings
    from waybill.cli.notices import teller
    from waybill.stack.supervisor import Stack

    output = Output(as_json=as_json)
    with Stack(local_settings(), flower=not no_flower, guard=guard, api_port=port, report=teller(output)) as stack:
        assert stack.running is not None
        _welcome(stack.running, output)
        stack.wait()
        output.note("stopping; running jobs finish or are handed back (press Ctrl-C again to stop immediately)")
    output.note("stopped")


def demo(port: ApiPort = None, no_flower: NoFlower = False, as_json: Json = False) -> None:
    """Take a one-minute tour: start a stack, read sample documents, answer questions about them, and stop.

    If a stack is already running, uses it and leaves it running. The next run is quicker, because unchanged documents
    are not read again.
    """
    from waybill.demo.run import run_demo

    run_demo(Output(as_json=as_json), api_port=port, flower=not no_flower)


def doctor(as_json: Json = False) -> None:
    """Check everything that Waybill needs, and suggest fixes for problems. Exit code 1 if a check fails."""
    from dataclasses import asdict

    from rich.table import Column, Table
    from rich.text import Text

    from waybill.cli.local import local_settings
    from waybill.stack.doctor import run_checks

    output = Output(as_json=as_json)
    checks = run_checks(local_settings())
    failed = sum(check.status == "fail" for check in checks)
    if as_json:
        output.document({"checks": [asdict(check) for check in checks], "failed": failed})
    marks = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
    # Where the terminal is narrow, what wraps stays beside its mark.
    grid = Table.grid("", Column(overflow="fold"), padding=(0, 1))
    for check in checks:
        lines = [f": {check.found}", *([check.remedy] if check.remedy else [])]
        grid.add_row(Text(*marks[check.status]), Text.assemble((check.name, "bold"), "\n".join(lines)))
    output.show(grid)
    if failed:
        raise typer.Exit(Exit.FAILED)


def console(url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Print a link that opens the web console and signs in with your key. It works once, within ten minutes.

    Accesses the database directly: it needs DATABASE_URL or a running stack.
    """
    from core.kit.errors import Unauthenticated
    from waybill.cli.connect import find_api
    from waybill.cli.failures import CliError
    from waybill.cli.local import local_settings
    from waybill.stack.console_link import console_link

    output = Output(as_json=as_json)
    settings = local_settings()
    where, key = find_api(settings, url, api_key)
    try:
        link = console_link(settings, where, key)
    except Unauthenticated as refused:
        remedy = "give a key of this installation: --api-key, WAYBILL_API_KEY, or `waybill keys create`"
        raise CliError(refused.detail, remedy=remedy, code=refused.code, exit_code=Exit.DENIED) from None
    if as_json:
        output.document({"url": link})
        return
    output.show(link)
    output.note("it works once, within ten minutes", style="dim")


def _welcome(running: "Running", output: Output) -> None:
    from waybill.stack.console_link import console_link

    link = console_link(running.settings, running.url, running.api_key)
    if output.as_json:
        output.record(
            {
                "event": "ready",
                "url": running.url,
                "console_url": link,
                "flower_url": running.flower_url,
                "home": str(running.home),
                "logs": str(running.logs),
                "metrics": running.metrics,
                "prometheus_targets": str(running.targets),
            }
        )
        return
    output.show(*addresses(running.url, link, running.flower_url, running.flower_password))
    output.show(f"Logs    {running.logs}")
    output.show(f"Metrics {running.targets} lists the targets for Prometheus", "")
    output.show("In another terminal: waybill kb create NAME, waybill kb ingest NAME FOLDER, waybill jobs submit …")
    output.note("Press Ctrl-C to stop", style="dim")


def addresses(url: str, console_url: str, flower_url: str | None, flower_password: str) -> list[str]:
    """The addresses to open in a browser."""
    lines = ["", f"Console {console_url}", "        signs in once; `waybill console` makes another link"]
    lines += [f"API     {url}", f"Docs    {url}/docs"]
    if flower_url is not None:
        lines.append(f"Flower  {flower_url}  user waybill, password {flower_password}")
    return lines
