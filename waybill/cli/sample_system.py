"""``waybill sample-system``: a sample business system to try tools with."""

from typing import Annotated

import typer

from waybill.cli.exits import EPILOG
from waybill.cli.failures import CliError

TOKEN = "WAYBILL_SAMPLE_SYSTEM_TOKEN"  # noqa: S105 - the name of the variable
_PANEL = "Run one process (for containers and service units)"


def register(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command("sample-system", epilog=EPILOG, rich_help_panel=_PANEL)(sample_system)


def sample_system(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8091,
    reset: Annotated[bool, typer.Option("--reset", help="Reset its data first.")] = False,
    tools: Annotated[
        bool, typer.Option("--tools", help="Print the tool servers file that attaches it, and exit.")
    ] = False,
) -> None:
    """Serve a sample business system over MCP until SIGTERM: customers, orders and refunds of a parcel company.

    Creates its own database, waybill_sample_system, on the server of DATABASE_URL or of the running stack.
    Callers use the token in WAYBILL_SAMPLE_SYSTEM_TOKEN. `waybill up` starts and attaches it unless you attach yours.
    """
    from importlib.resources import files

    if tools:
        typer.echo(files("waybill.sample_system").joinpath("tool_servers.toml").read_text(encoding="utf-8"), nl=False)
        return
    from core.kit.credentials import read_credential
    from core.kit.errors import Unavailable
    from waybill.cli.local import local_settings

    settings = local_settings()
    try:
        token = read_credential(TOKEN, settings.secrets_dir, whose="the sample system")
    except Unavailable as missing:
        raise CliError(missing.detail, remedy=f"export {TOKEN}=…, any long random text", code=missing.code) from missing
    if settings.database_url is None:
        raise CliError(
            "DATABASE_URL is not set and no embedded stack is running",
            remedy="run `waybill up`, or set DATABASE_URL",
            code="database_missing",
        )
    _serve(settings.database_url.get_secret_value(), token, host=host, port=port, reset=reset)


def _serve(server_url: str, token: str, *, host: str, port: int, reset: bool) -> None:
    from waybill.sample_system.database import SampleDatabase, ensure_database
    from waybill.sample_system.server import open_server

    database = SampleDatabase(ensure_database(server_url))
    try:
        database.prepare()
        if reset:
            database.reset()
        open_server(database, token, host=host, port=port).run()
    finally:
        database.close()
