"""``waybill organizations``: list and create the organizations of an installation.

These commands access the database directly: no key of the API belongs to more than one organization.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import Json
from waybill.cli.output import Output

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.kit.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List and create the organizations of this installation.", epilog=EPILOG)


@app.callback()
def organizations() -> None:
    """List and create the organizations of this installation.

    Accesses the database directly: needs DATABASE_URL or a running stack.
    """


@app.command("list", epilog=EPILOG)
def list_organizations(as_json: Json = False) -> None:
    """List all organizations by name."""
    from core.keys.projects import repository
    from core.kit.ids import ORGANIZATION, encode
    from waybill.cli.local import local_settings
    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    with system_session(local_settings()) as session:
        found = repository.organizations(session)
    if as_json:
        data = [
            {"id": encode(ORGANIZATION, each.id), "name": each.name, "created_at": each.created_at} for each in found
        ]
        output.document({"data": data})
        return
    shown = table("ORGANIZATION", "NAME", "CREATED")
    for each in found:
        shown.add_row(encode(ORGANIZATION, each.id), each.name, moment(each.created_at))
    output.show(shown)


@app.command(epilog=EPILOG)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, unique in this installation.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Create an organization and print its id."""
    from core.audit.record import Actor
    from core.keys.projects.service import create_organization
    from core.kit.ids import ORGANIZATION, encode
    from waybill.cli.local import local_settings

    output = Output(as_json=as_json)
    with system_session(local_settings()) as session:
        organization_id = create_organization(session, name, Actor("system", "command-line"))
    if organization_id is None:
        raise CliError(
            f"there is an organization called {name}",
            remedy="choose another name",
            code="organization_name_taken",
            exit_code=Exit.REFUSED,
        )
    made = encode(ORGANIZATION, organization_id)
    if as_json:
        output.document({"id": made, "name": name})
        return
    output.show(made)
    output.note(f"create its first key: waybill keys create --organization {name} --role owner", style="dim")


@contextmanager
def system_session(settings: "Settings") -> "Iterator[Session]":
    """A transaction that works across organizations, on a connection of its own."""
    from core.kit.db import Database

    database = Database(settings, application_name="waybill-cli", pool_size=1)
    try:
        with database.system() as session:
            yield session
    finally:
        database.close()


def require_known(session: "Session", organization: str, project: str | None = None) -> None:
    """Refuse a name that nobody has created, so that a typing error creates no tenant and no project.

    The first organization of an installation and the first project of an organization need no command of their own, nor
    does the organization that this machine's command line works in. Raises `CliError`.
    """
    from core.keys.projects import repository
    from waybill.cli.local import default_organization

    known = {each.name: each.id for each in repository.organizations(session)}
    if organization not in known:
        if known and organization != default_organization():
            raise _unknown("organization", organization, known, f"waybill organizations create {organization}")
        return
    if project is None:
        return
    projects = repository.names(session, known[organization])
    if projects and project not in projects:
        raise _unknown("project", project, projects, f"waybill projects create {project}")


def _unknown(kind: str, name: str, known: Iterable[str], command: str) -> CliError:
    similar = difflib.get_close_matches(name, list(known), n=1)
    remedy = f"create it with `{command}`"
    return CliError(
        f"there is no {kind} called {name}",
        remedy=f"use --{kind} {similar[0]}, or {remedy}" if similar else remedy,
        code=f"{kind}_not_found",
        exit_code=Exit.FAILED,
    )
