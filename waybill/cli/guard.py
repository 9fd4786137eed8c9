"""``waybill guard``: personal data, injections and classes of text, by policy."""

import typer

from waybill.cli import guard_policies
from waybill.cli.exits import EPILOG

app = typer.Typer(
    no_args_is_help=True, help="Guard: personal data, injections and classes of text, by policy.", epilog=EPILOG
)
guard_policies.register(app)
