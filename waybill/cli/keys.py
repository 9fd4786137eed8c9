"""``waybill keys``: create, list, rotate and revoke API keys.

``create`` accesses the database directly, because the first key cannot come from the API. The others call the API.
"""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, ClassName, Cursor, Json, Limit, Url
from waybill.cli.organizations import require_known, system_session
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.client.models import Key

app = typer.Typer(no_args_is_help=True, help="Create, list, rotate and revoke API keys.", epilog=EPILOG)

_DURATION = re.compile(r"(?P<count>[1-9][0-9]{0,5})(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, for example key_01k….", show_default=False)]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        show_default="jobs:* and knowledge:*",
        help="Scope to grant, such as jobs:read, or capability:knowledge.search to restrict the key. Repeatable.",
    ),
]
RoleName = Annotated[
    str | None,
    typer.Option(
        "--role", show_default=False, help="Grant all scopes of a role: owner, admin, developer, operator or auditor."
    ),
]
ExpiresIn = Annotated[
    str | None, typer.Option(metavar="TIME", show_default="never", help="Lifetime, such as 90d, 12h or 30m.")
]
Clearance = Annotated[
    ClassName | None,
    typer.Option(show_default="your own", help="The highest data class whose results it may read."),
]


@app.callback()
def keys() -> None:
    """Create, list, rotate and revoke API keys.

    `create` accesses the database directly: it needs DATABASE_URL or a running stack. The other commands call the API.
    """


@app.command(epilog=EPILOG)
def create(
    organization: Annotated[
        str | None,
        typer.Option(
            show_default="default; with `waybill up`, the local stack's",
            help="Organization of the key. The first one of an installation is created.",
        ),
    ] = None,
    project: Annotated[
        str, typer.Option(help="Project of the key. The first one of an organization is created.")
    ] = "default",
    name: Annotated[str, typer.Option(help="Name shown in lists.")] = "command line",
    scope: Scopes = None,
    role: RoleName = None,
    expires_in: ExpiresIn = None,
    clearance: Clearance = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it once; only a hash is stored. Accesses the database directly.

    Example: export WAYBILL_API_KEY=$(waybill keys create --name laptop)
    """
    output = Output(as_json=as_json)
    lifetime = parse_duration(expires_in) if expires_in else None

    from core.keys.service import KeyService
    from core.kit.data_classes import DataClass
    from core.kit.ids import KEY, ORGANIZATION, PROJECT, encode
    from waybill.cli.local import default_organization, local_settings

    scopes = [*(scope or ()), *_scopes_of(role)]
    settings = local_settings()
    whose = organization or default_organization()
    with system_session(settings) as session:
        require_known(session, whose, project)
        issued = KeyService(settings).create_key(
            session,
            organization=whose,
            project=project,
            name=name,
            scopes=scopes,
            expires_in=lifetime,
            clearance=DataClass(clearance or DataClass.RESTRICTED),
        )
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
    output.note(f"{encode(KEY, issued.id)} for {whose}/{project}: {', '.join(issued.scopes)}", style="dim")
    output.note("store it now; it is not shown again", style="dim")


@app.command(epilog=EPILOG)
def issue(
    name: Annotated[str, typer.Option(help="Name shown in lists.")],
    project: Annotated[
        str | None, typer.Option(metavar="PROJECT_ID", show_default="your own", help="Project of the key.")
    ] = None,
    scope: Scopes = None,
    role: RoleName = None,
    expires_in: ExpiresIn = None,
    clearance: Clearance = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Create a key through the API, with at most your own scopes, and print it once."""
    output = Output(as_json=as_json)
    lifetime = int(parse_duration(expires_in).total_seconds()) if expires_in else None
    with connect(url, api_key) as client:
        made = client.keys.create(
            name,
            project_id=project,
            scopes=scope or (),
            role=role,
            expires_in_seconds=lifetime,
            clearance=clearance,
        )
    _print_new(made, output)


@app.command("list", epilog=EPILOG)
def list_keys(
    project: Annotated[
        str | None, typer.Option(metavar="PROJECT_ID", show_default="your own", help="Only keys of this project.")
    ] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Include revoked and expired keys.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List keys with their scopes, last use and expiry."""
    from waybill.cli.tables import keys_table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.keys.list(project_id=project, ended=ended, limit=limit, cursor=cursor)
    output.page(page, keys_table)


@app.command(epilog=EPILOG)
def get(key_id: KeyId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show a key's details, but never its secret."""
    with connect(url, api_key) as client:
        _print(client.keys.get(key_id), Output(as_json=as_json))


@app.command(epilog=EPILOG)
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", show_default="24h", help="How long the old key stays valid; 0 revokes it immediately."
        ),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Replace a key and print the new one once. Both work during the overlap."""
    seconds = None
    if overlap is not None:
        seconds = 0 if overlap.strip() == "0" else int(parse_duration(overlap).total_seconds())
    with connect(url, api_key) as client:
        made = client.keys.rotate(key_id, seconds)
    _print_new(made, Output(as_json=as_json))


@app.command(epilog=EPILOG)
def revoke(key_id: KeyId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Revoke a key. Takes effect within two seconds."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        revoked = client.keys.revoke(key_id)
    output.answer(revoked.as_json(), f"{revoked.id} is revoked")


def _scopes_of(role: str | None) -> list[str]:
    if role is None:
        return []
    from core.keys.roles import Role

    try:
        return sorted(Role(role).scopes)
    except ValueError as error:
        remedy = f"use one of: {', '.join(Role)}"
        raise CliError(f"unknown role {role!r}", remedy=remedy, code="role_unknown", exit_code=Exit.USAGE) from error


def _print(key: "Key", output: Output) -> None:
    from waybill.cli.tables import keys_table

    if output.as_json:
        output.document(key.as_json())
    else:
        output.show(keys_table([key]))


def _print_new(made: "Key", output: Output) -> None:
    if output.as_json:
        output.document(made.as_json())
        return
    if made.key is None:
        output.note(
            f"{made.id} was created, but the response was lost; get a new secret: waybill keys rotate {made.id}"
        )
        return
    output.show(made.key)
    output.note(f"{made.id} for {made.project_id}: {', '.join(made.scopes)}", style="dim")
    output.note("store it now; it is not shown again", style="dim")


def parse_duration(text: str) -> timedelta:
    """A duration such as ``90d`` or ``12h``. Raises `CliError` for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise CliError(
            f"{text!r} is not a duration",
            remedy="use a number followed by s, m, h, d or w, such as 90d",
            code="bad_duration",
            exit_code=Exit.USAGE,
        )
    return timedelta(**{_UNITS[found["unit"]]: int(found["count"])})
