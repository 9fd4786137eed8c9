"""``waybill guard``: the process that looks for personal data and injections."""

from typing import Annotated

import typer

from waybill.cli.exits import EPILOG

app = typer.Typer(no_args_is_help=True, help="Look for personal data and prompt injections.", epilog=EPILOG)


@app.command(epilog=EPILOG)
def serve(
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            show_default="WAYBILL_GUARD_URL, else guard.sock in WAYBILL_HOME",
            help="Where to listen: unix:///PATH, for this user only, or http://HOST:PORT.",
        ),
    ] = None,
) -> None:
    """Analyze texts for the API and the workers until SIGTERM, then finish what is open.

    They find it by WAYBILL_GUARD_URL. It holds no secret and reaches nothing; who reaches it may ask it, so do not
    publish it. A child that stands still or crashes over a text is replaced.
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
