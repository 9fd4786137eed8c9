"""``waybill limits``: limit usage, and see what is used."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Cursor, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from waybill.client.models import Limit

app = typer.Typer(
    no_args_is_help=True, help="Limit requests, jobs, tokens and costs, and see what is used.", epilog=EPILOG
)


class Kind(StrEnum):
    """What can be limited; a test compares it with what the API accepts."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    CONCURRENT_JOBS = "concurrent_jobs"
    JOBS_PER_DAY = "jobs_per_day"
    JOBS_PER_MONTH = "jobs_per_month"
    TOKENS_PER_DAY = "tokens_per_day"
    TOKENS_PER_MONTH = "tokens_per_month"
    COST_PER_DAY = "cost_per_day"
    COST_PER_MONTH = "cost_per_month"


What = Annotated[Kind, typer.Argument(metavar="KIND", help="What to limit.", show_default=False)]
Project = Annotated[str | None, typer.Option(show_default=False, help="Limit of this project: prj_….")]
Key = Annotated[str | None, typer.Option(show_default=False, help="Limit of this key: key_….")]


@app.command("list", epilog=EPILOG)
def list_limits(
    project: Project = None,
    key: Key = None,
    all_: Annotated[bool, typer.Option("--all", help="List every limit that the organization has set.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="With --all: maximum number of results.")] = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the limits that apply to you with their usage, or those of a project or key, or all."""
    output = Output(as_json=as_json)
    following = None
    with connect(url, api_key) as client:
        if all_:
            page = client.limits.list(limit=limit, cursor=cursor)
            found, following = page.data, page.next_cursor
        elif project or key:
            found = client.limits.of_scope(_scope(project, key))
        else:
            found = client.limits.effective()
    if as_json:
        output.document({"data": [each.as_json() for each in found], "next_cursor": following})
        return
    if not found:
        output.note("no limits; set one with: waybill limits set jobs_per_day 1000")
        return
    output.show(_table(found))
    output.more(following)


@app.command("set", epilog=EPILOG)
def set_limit(
    kind: What,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="The limit: a whole number, or US dollars for cost_per_….")
    ],
    project: Project = None,
    key: Key = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Set a limit for the organization, a project or a key.

    Example: waybill limits set cost_per_day 25.00 --project prj_01jd3q8v9tfq8a1b2c3d4e5f6g
    """
    wanted: int | str = value
    if not kind.startswith("cost_"):
        if not (value.isascii() and value.isdigit()):
            raise typer.BadParameter(f"{kind} must be a whole number", param_hint="VALUE")
        wanted = int(value)
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        made = client.limits.set(kind, wanted, _scope(project, key))
    output.answer(made.as_json(), _table([made]))


@app.command(epilog=EPILOG)
def remove(
    kind: What,
    project: Project = None,
    key: Key = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Remove a limit and show its last value."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        removed = client.limits.remove(kind, _scope(project, key))
    output.answer(removed.as_json(), _table([removed]))


def _scope(project: str | None, key: str | None) -> str:
    if project and key:
        raise typer.BadParameter("use --project or --key, not both", param_hint="--key")
    return project or key or "organization"


def _table(limits: "Sequence[Limit]") -> "Table":
    from waybill.cli.tables import table

    made = table("FOR", "LIMIT", "VALUE", "USED", "RESETS")
    for limit in limits:
        made.add_row(
            limit.scope if limit.scope == "organization" else limit.scope_id,
            f"{limit.kind} (default)" if limit.is_default else limit.kind,
            str(limit.value),
            "" if limit.used is None else str(limit.used),
            f"{limit.resets_at:%Y-%m-%d %H:%M} UTC" if limit.resets_at else "",
        )
    return made
