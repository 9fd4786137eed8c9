"""``waybill guard``: personal data, injections and classes of text, by policy."""

from typing import Annotated

import typer

from waybill.cli import guard_policies
from waybill.cli.exits import EPILOG

app = typer.Typer(
    no_args_is_help=True,
    help="Detect and handle personal data, prompt injection and sensitive text, by policy.",
    epilog=EPILOG,
)
guard_policies.register(app)


@app.command(epilog=EPILOG)
def serve(
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            show_default="WAYBILL_GUARD_URL, else guard.sock in WAYBILL_HOME",
            help="Address to listen on: unix:///PATH, for this user only, or http://HOST:PORT.",
        ),
    ] = None,
) -> None:
    """Analyze texts for the API and the workers until SIGTERM, then finish open requests.

    API and workers find it by WAYBILL_GUARD_URL. It holds no secrets and makes no connections. Any process that can
    reach it can use it, so do not expose it. A child process that hangs or crashes is replaced.
    """
    from importlib.util import find_spec

    from core.kit.settings import get_settings

    for name in ("presidio_analyzer", "uvicorn"):
        if find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
    from workers.analyzer.server import main

    settings = get_settings()
    raise typer.Exit(
        main(settings, listen or settings.guard_url or f"unix://{settings.home.absolute() / 'guard.sock'}")
    )
