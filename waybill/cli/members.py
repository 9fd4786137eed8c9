"""``waybill members``: manage the people of an organization.

``bootstrap`` accesses the database directly, because an organization without members has no one who could call the API.
The other commands call the API.
"""

from typing import Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.organizations import require_known, system_session
from waybill.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="Manage the people of the organization and their roles.", epilog=EPILOG)

_ROLES = "owner, admin, developer, operator or auditor."

Subject = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT",
        help="The person's id at the identity provider: `sub`, or `oid` for Entra ID.",
        show_default=False,
    ),
]
MemberId = Annotated[
    str, typer.Argument(metavar="MEMBER_ID", help="The member's id, for example mem_01k….", show_default=False)
]
Email = Annotated[
    str | None, typer.Option(show_default=False, help="Shown in lists only; not used to identify the person.")
]
Issuer = Annotated[
    str | None, typer.Option(show_default="the only one configured", help="URL of the identity provider.")
]


@app.command(epilog=EPILOG)
def bootstrap(
    subject: Subject,
    organization: Annotated[
        str, typer.Option(help="The organization. The first one of an installation is created.")
    ] = "default",
    role: Annotated[str, typer.Option(help=_ROLES)] = "owner",
    email: Email = None,
    issuer: Issuer = None,
    as_json: Json = False,
) -> None:
    """Make a person the first owner of an organization. Accesses the database directly."""
    output = Output(as_json=as_json)

    from core.audit.record import Actor
    from core.keys.members.service import MemberService
    from core.keys.roles import Role
    from core.kit.ids import MEMBER, ORGANIZATION, encode
    from waybill.cli.local import local_settings

    if role not in [*Role]:
        raise CliError(f"unknown role {role!r}", remedy=_ROLES, code="role_unknown", exit_code=Exit.USAGE)
    settings = local_settings()
    with system_session(settings) as session:
        require_known(session, organization)
        made = MemberService(settings).bootstrap(
            session,
            organization,
            Actor("system", "command-line"),
            subject=subject,
            role=Role(role),
            email=email,
            issuer=issuer,
        )
    output.answer(
        {
            "id": encode(MEMBER, made.id),
            "organization_id": encode(ORGANIZATION, made.organization_id),
            "issuer": made.issuer,
            "subject": made.subject,
            "role": made.role,
        },
        encode(MEMBER, made.id),
    )


@app.command(epilog=EPILOG)
def add(
    subject: Subject,
    role: Annotated[str, typer.Option(help=f"At most your own: {_ROLES}")],
    email: Email = None,
    issuer: Issuer = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Add a person to the organization and print the member's id."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        made = client.members.add(subject, role, email=email, issuer=issuer)
    output.answer(made.as_json(), made.id)


@app.command("list", epilog=EPILOG)
def list_members(
    role: Annotated[str | None, typer.Option(show_default=False, help="Only members with this role.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the members of the organization."""
    from waybill.cli.tables import members_table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.members.list(role=role, limit=limit, cursor=cursor)
    output.page(page, members_table)


@app.command(epilog=EPILOG)
def change(
    member_id: MemberId,
    role: Annotated[str | None, typer.Option(show_default=False, help=f"At most your own: {_ROLES}")] = None,
    email: Email = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Change a member's role or email. An empty --email removes the address. The last owner cannot be demoted."""
    from waybill.cli.tables import members_table

    output = Output(as_json=as_json)
    changes: dict[str, Any] = {} if role is None else {"role": role}
    if email is not None:
        changes["email"] = email or None
    if not changes:
        raise CliError("nothing to change", remedy="see --help", code="no_change", exit_code=Exit.USAGE)
    with connect(url, api_key) as client:
        changed = client.members.change(member_id, changes)
    output.answer(changed.as_json(), members_table([changed]))


@app.command(epilog=EPILOG)
def remove(member_id: MemberId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Remove a member. Takes effect within two seconds. The last owner cannot be removed."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        client.members.remove(member_id)
    output.answer({"id": member_id, "removed": True}, f"{member_id} is removed")
