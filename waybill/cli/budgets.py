"""``waybill budgets``: limit spending, and see what has been spent."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from datetime import datetime

    from rich.table import Table

    from waybill.client.models import Budget, BudgetForecast

app = typer.Typer(no_args_is_help=True, help="Limit spending, and see what has been spent.", epilog=EPILOG)

BudgetId = Annotated[str, typer.Argument(metavar="BUDGET", help="The budget's id: bud_….", show_default=False)]
Exhaustion = Annotated[
    Literal["fail", "pause"] | None,
    typer.Option(show_default=False, help="What happens to a running job when the budget is used up."),
]
Thresholds = Annotated[
    list[int] | None,
    typer.Option(
        "--threshold",
        metavar="PERCENT",
        show_default="50, 80, 100",
        help="Percentage of the limit at which to warn. Repeatable.",
    ),
]
Hard = Annotated[
    bool | None,
    typer.Option("--hard/--soft", show_default=False, help="Refuse work that exceeds the budget, or only warn."),
]


@app.command(epilog=EPILOG)
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name shown when the budget refuses work.", show_default=False)
    ],
    limit: Annotated[str, typer.Option(metavar="USD", help="Spending limit per period: 250.00.")],
    period: Annotated[
        Literal["day", "month", "total"], typer.Option(help="Budget period; days and months are in UTC.")
    ] = "month",
    project: Annotated[
        str | None, typer.Option(show_default=False, help="Count only this project's spending: prj_….")
    ] = None,
    key: Annotated[str | None, typer.Option(show_default=False, help="Count only this key's spending: key_….")] = None,
    hard: Hard = None,
    on_exhaustion: Exhaustion = None,
    threshold: Thresholds = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Create a budget for the organization, a project or a key, and print its id.

    Example: waybill budgets create 'research, monthly' --limit 250.00 --project prj_01jd3q8v9tfq8a1b2c3d4e5f6g
    """
    if project and key:
        raise typer.BadParameter("use --project or --key, not both", param_hint="--key")
    output = Output(as_json=as_json)
    body = {"name": name, "limit_usd": limit, "period": period}
    if project or key:
        body |= {"scope": "project" if project else "key", "scope_id": project or key or ""}
    with connect(url, api_key) as client:
        made = client.budgets.create({**body, **_given(hard, on_exhaustion, threshold)})
    output.answer(made.as_json(), made.id)


@app.command("list", epilog=EPILOG)
def list_budgets(
    archived: Annotated[bool, typer.Option("--archived", help="Include archived ones.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the organization's budgets with their spending and reservations, newest first."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.budgets.list(archived=archived, limit=limit, cursor=cursor)
    output.page(page, _table, "no budgets; create one with: waybill budgets create NAME --limit USD")


@app.command(epilog=EPILOG)
def show(budget: BudgetId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show one budget and its current balance."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.budgets.get(budget)
    output.answer(found.as_json(), _table([found]))


@app.command(epilog=EPILOG)
def update(
    budget: BudgetId,
    limit: Annotated[str | None, typer.Option(metavar="USD", show_default=False, help="The new limit.")] = None,
    hard: Hard = None,
    on_exhaustion: Exhaustion = None,
    threshold: Thresholds = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Change a budget. Options that you omit stay unchanged."""
    change = _given(hard, on_exhaustion, threshold) | ({"limit_usd": limit} if limit is not None else {})
    if not change:
        raise typer.BadParameter("nothing to change; use --limit, --hard, --soft, --on-exhaustion or --threshold")
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        changed = client.budgets.update(budget, change)
    output.answer(changed.as_json(), _table([changed]))


@app.command(epilog=EPILOG)
def forecast(budget: BudgetId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Forecast when a budget will be used up, with its probability."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.budgets.forecast(budget)
    if as_json:
        output.document(found.as_json())
        return
    until = "in the next 90 days" if found.period_end is None else f"by {found.period_end:%Y-%m-%d %H:%M} UTC"
    output.show(f"{found.spent_usd} of {found.limit_usd} USD spent, {found.burn_usd_per_day} a day in the last week")
    if found.projected_usd is None or found.exhausted_at is None:
        output.show("less than a day of spending so far: not enough for a forecast")
        return
    projected = found.projected_usd
    output.show(f"{until}: {projected.p50} USD, four in five between {projected.p10} and {projected.p90}")
    moments = [f"{each:%Y-%m-%d %H:%M} UTC" if each else None for each in _moments(found)]
    if moments[0] is None and not found.probability:
        output.show("the limit will not be reached")
        return
    middle = moments[1] or "not in that time"
    output.show(
        f"the limit is reached {until} with a probability of {found.probability:.0%}; in the middle of all draws"
        f" {middle}, in four of five between {moments[0] or 'later'} and {moments[2] or 'later'}"
    )


def _moments(found: "BudgetForecast") -> "tuple[datetime | None, datetime | None, datetime | None]":
    exhausted = found.exhausted_at
    return (None, None, None) if exhausted is None else (exhausted.early, exhausted.middle, exhausted.late)


@app.command(epilog=EPILOG)
def archive(budget: BudgetId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Archive a budget. It no longer refuses or warns."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        ended = client.budgets.archive(budget)
    output.answer(ended.as_json(), _table([ended]))


def _given(hard: bool | None, on_exhaustion: str | None, thresholds: list[int] | None) -> dict[str, object]:
    named = {"hard": hard, "on_exhaustion": on_exhaustion, "thresholds": thresholds or None}
    return {name: value for name, value in named.items() if value is not None}


def _table(budgets: "list[Budget]") -> "Table":
    from waybill.cli.tables import table

    made = table("BUDGET", "NAME", "FOR", "PERIOD", "LIMIT USD", "SPENT", "RESERVED", "KIND")
    for budget in budgets:
        kind = f"hard, {budget.on_exhaustion}" if budget.hard else "soft"
        made.add_row(
            budget.id,
            budget.name,
            budget.scope if budget.scope == "organization" else budget.scope_id,
            budget.period,
            budget.limit_usd,
            budget.balance.spent_usd,
            budget.balance.reserved_usd,
            "archived" if budget.archived_at else kind,
        )
    return made
