"""``waybill prompts``: manage versions of prompts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    pass

app = typer.Typer(no_args_is_help=True, help="Manage versions of prompts.", epilog=EPILOG)

# Of a digest in a listing; --json has all of it.
_SHOWN = 15
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The prompt, for example knowledge/answer.", show_default=False)
]


@app.command("list", epilog=EPILOG)
def list_prompts(
    name: Annotated[str | None, typer.Option(show_default=False, help="Only versions of this prompt.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List versions of the organization's prompts and the shared ones, newest first."""
    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.prompts.list(name=name, limit=limit, cursor=cursor)
    if as_json:
        output.document(page.as_json())
        return
    if not page.data:
        output.note("no prompts; load those of the installed capabilities with: waybill prompts seed")
        return
    made = table("PROMPT", "NAME", "VERSION", "IN FORCE", "FOR", "CREATED", "DIGEST")
    for each in page.data:
        in_force = "yes" if each.in_force else ""
        created = moment(each.created_at)
        short = f"{each.digest[:_SHOWN]}…"
        made.add_row(each.id, each.name, str(each.version), in_force, each.applies_to, created, short)
    output.show(made)
    output.more(page.next_cursor)


@app.command(epilog=EPILOG)
def show(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="The prompt version's id: prm_….", show_default=False)
    ],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Print a version's text."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.prompts.get(prompt)
    output.answer(found.as_json(), found.text)


@app.command(epilog=EPILOG)
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The text.", show_default=False)],
    activate_now: Annotated[
        bool, typer.Option("--activate", help="Put this version in force immediately, replacing the capability's file.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Add a version of a prompt and print its digest.

    Example: waybill prompts add knowledge/answer answer.md --activate
    """
    output = Output(as_json=as_json)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter("the file is not text in UTF-8", param_hint="FILE") from None
    with connect(url, api_key) as client:
        made = client.prompts.add(name, text, activate=activate_now)
    output.answer(made.as_json(), made.digest)


@app.command(epilog=EPILOG)
def activate(
    name: Name,
    version: Annotated[
        str,
        typer.Argument(
            metavar="VERSION", help="The earlier version: its id, prm_…, or its digest.", show_default=False
        ),
    ],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Put an earlier version back in force, the organization's or a shared one."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        digest = client.prompts.get(version).digest if version.startswith("prm_") else version
        made = client.prompts.activate(name, digest)
    output.answer(made.as_json(), made.digest)


@app.command(epilog=EPILOG)
def seed(as_json: Json = False) -> None:
    """Load the prompts of the installed capabilities as shared ones. Accesses the database directly. Safe to repeat."""
    output = Output(as_json=as_json)

    from core.kit.db import Database
    from core.registry.prompts import service
    from pipelines._kit.prompts import packaged_prompts
    from waybill.cli.local import local_settings

    database = Database(local_settings(), application_name="waybill-cli", pool_size=1)
    try:
        files = list(packaged_prompts())
        with database.system() as session:
            added = service.seed(session, files)
    finally:
        database.close()
    output.answer(
        {"added": added, "unchanged": len(files) - added}, f"{added} prompts added; {len(files) - added} already there"
    )
