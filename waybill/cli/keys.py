"""``waybill keys``: issue API keys. Talks to the database itself, because the first key has no key to ask with."""

import re
from datetime import timedelta
from typing import Annotated

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import Json
from waybill.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="Issue the keys that clients of the API need.", epilog=EPILOG)

_DURATION = re.compile(r"(?P<count>[1-9][0-9]{0,5})(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.callback()
def keys() -> None:
    """Issue the keys that clients of the API need. Works on the database: needs DATABASE_URL or a running stack."""


@app.command(epilog=EPILOG)
def create(
    organization: Annotated[str, typer.Option(help="Whose key it is; made if there is none of that name.")] = "default",
    project: Annotated[str, typer.Option(help="The project its work counts for; made if there is none.")] = "default",
    name: Annotated[str, typer.Option(help="What lists call the key.")] = "command line",
    scope: Annotated[
        list[str] | None, typer.Option(show_default="all", help="What it may do, for example jobs:read. Repeatable.")
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(metavar="TIME", show_default="never", help="Its life: 90d, 12h, 30m.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Issue a key and print it, once: only a hash of it is stored.

    Example: export WAYBILL_API_KEY=$(waybill keys create --name laptop)
    """
    output = Output(as_json=as_json)
    lifetime = parse_duration(expires_in) if expires_in else None

    from core.keys.service import SCOPES, KeyService
    from core.kit.db import Database
    from core.kit.ids import KEY, ORGANIZATION, PROJECT, encode
    from waybill.cli.local import local_settings

    settings = local_settings()
    database = Database(settings, application_name="waybill-cli", pool_size=1)
    try:
        with database.system() as session:
            issued = KeyService(settings).create_key(
                session,
                organization=organization,
                project=project,
                name=name,
                scopes=scope or SCOPES,
                expires_in=lifetime,
            )
    finally:
        database.close()
    if as_json:
        output.document(
            {
                "id": encode(KEY, issued.id),
                "key": issued.plaintext,
                "prefix": issued.prefix,
                "scopes": list(issued.scopes),
                "organization_id": encode(ORGANIZATION, issued.organization_id),
                "project_id": encode(PROJECT, issued.project_id),
            }
        )
        return
    output.show(issued.plaintext)
    output.note(f"{encode(KEY, issued.id)} for {organization}/{project}: {', '.join(issued.scopes)}", style="dim")
    output.note("this is the only time it is shown", style="dim")


def parse_duration(text: str) -> timedelta:
    """A span such as ``90d`` or ``12h``. Raises `CliError` for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise CliError(
            f"{text!r} is not a time span",
            remedy="a number and one of s, m, h, d, w: 90d",
            code="bad_duration",
            exit_code=Exit.USAGE,
        )
    return timedelta(**{_UNITS[found["unit"]]: int(found["count"])})
