"""``waybill backtest``: what a budget, a rate, prices or a guard policy would have done to real jobs."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.client import WaybillClient
    from waybill.client.models import BudgetBacktest, LimitBacktest

app = typer.Typer(
    no_args_is_help=True, help="Test a budget, limit, price or guard policy against past jobs.", epilog=EPILOG
)
# Blocked jobs to show, and texts of a job to test.
_EXAMPLES_MAX = 10
_TEXTS_MAX = 100
_TEMPLATES = ("off", "observe", "balanced", "strict")

From = Annotated[
    str | None,
    typer.Option("--from", metavar="DAY", show_default="30 days before", help="Jobs accepted on or after this day."),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="DAY", show_default="now", help="Jobs accepted before this day.")
]
Project = Annotated[
    str | None, typer.Option(metavar="PROJECT_ID", show_default=False, help="Only jobs of this project.")
]
Key = Annotated[str | None, typer.Option(metavar="KEY_ID", show_default=False, help="Only jobs of this key.")]


@app.command(epilog=EPILOG)
def budget(
    limit: Annotated[str, typer.Argument(metavar="USD", help="Spending limit per period.", show_default=False)],
    period: Annotated[
        Literal["day", "month", "total"], typer.Option(help="Budget period; days and months are in UTC.")
    ] = "month",
    project: Project = None,
    key: Key = None,
    begins: From = None,
    ends: To = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Test a hard budget: which jobs it would have refused or stopped, and what it would have saved.

    Example: waybill backtest budget 25.00 --period day --project prj_01jd3q8v9tfq8a1b2c3d4e5f6g
    """
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.backtests.budget(limit, period=period, begins=begins, ends=ends, **_scope(project, key))
    each = "in all" if period == "total" else f"a {period}"
    output.answer(
        found.as_json(),
        f"{found.jobs:,} jobs spent {found.history_usd} USD; with {limit} USD {each} it would have been"
        f" {found.spent_usd} USD",
        f"refused at submission: {found.refused:,}; stopped before a model call: {found.stopped:,}",
    )
    _refusals(output, found)


@app.command(epilog=EPILOG)
def limit(
    requests_per_minute: Annotated[
        int, typer.Argument(metavar="RATE", min=1, help="Requests per minute.", show_default=False)
    ],
    project: Project = None,
    key: Key = None,
    begins: From = None,
    ends: To = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Test a request rate: which submissions it would have answered with 429."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.backtests.limit(requests_per_minute, begins=begins, ends=ends, **_scope(project, key))
    output.answer(
        found.as_json(),
        f"{found.refused:,} of {found.jobs:,} submissions refused, to come back after at most"
        f" {found.longest_wait_seconds} s",
    )
    _refusals(output, found)


@app.command(epilog=EPILOG)
def price(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="The provider.", show_default=False)],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model, or * for all.", show_default=False)],
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="input_tokens, output_tokens, …", show_default=False)],
    usd: Annotated[str, typer.Argument(metavar="USD", help="US dollars per unit.", show_default=False)],
    project: Project = None,
    begins: From = None,
    ends: To = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Test a price: what the same usage would have cost.

    Example: waybill backtest price azure gpt-4o output_tokens 0.000009
    """
    from waybill.cli.tables import table

    output = Output(as_json=as_json)
    tried = {"provider": provider, "model": model, "unit": unit, "usd_per_unit": usd}
    with connect(url, api_key) as client:
        found = client.backtests.prices([tried], project_id=project, begins=begins, ends=ends)
    if as_json:
        output.document(found.as_json())
        return
    made = table("PROVIDER", "MODEL", "UNIT", "QUANTITY", "CHARGED USD", "WOULD BE")
    for line in found.data:
        if line.repriced_usd is not None:
            made.add_row(
                *(line.provider, line.model, line.unit, f"{line.quantity:,}"),
                str(line.charged_usd),
                str(line.repriced_usd),
            )
    if not any(line.repriced_usd is not None for line in found.data):
        output.note("no usage that this price applies to")
        return
    output.show(made, f"total {found.charged_usd} USD; would be {found.repriced_usd} ({found.difference_usd:+})")


@app.command(epilog=EPILOG)
def guard(
    policy: Annotated[
        str, typer.Argument(metavar="TEMPLATE|FILE", help="off, observe, balanced, strict, or a JSON file.")
    ],
    jobs: Annotated[int, typer.Option(min=1, max=1000, help="Number of jobs to test, newest first.")] = 100,
    capability: Annotated[str | None, typer.Option(show_default=False, help="Only jobs of this capability.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Test a guard policy on the inputs of recent jobs: what it would have found, redacted and blocked.

    Covers only inputs still within their retention period, and no texts from documents or tools.
    """
    output = Output(as_json=as_json)
    tried = {"template": policy} if policy in _TEMPLATES else {"policy": _read(policy)}
    with connect(url, api_key) as client:
        found = _screen(client, tried, jobs, capability)
    if as_json:
        output.document(found)
        return
    output.show(f"{found['jobs']:,} jobs; by what would have become of their inputs:")
    for action, count in found["actions"].items():
        output.show(f"  {action or 'nothing found':<14} {count:,}")
    for kind, count in found["kinds"].items():
        output.show(f"  {kind}: {count:,}")
    for job_id in found["blocked"]:
        output.show(f"blocked: {job_id}")


def _screen(client: "WaybillClient", tried: dict[str, Any], jobs: int, capability: str | None) -> dict[str, Any]:
    actions: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    blocked: list[str] = []
    seen = 0
    for job in client.every(client.jobs.list, capability=capability, limit=min(jobs, 100)):
        if seen == jobs:
            break
        payload = client.jobs.get(job.id).record.input
        texts = list(_texts(payload))[:_TEXTS_MAX] if payload is not None else []
        if not texts:
            continue
        seen += 1
        screening = client.guard.screen(texts, direction="to_model", source="input", **tried)
        actions[screening.action] += 1
        kinds.update({finding.kind for text in screening.data for finding in text.findings})
        if screening.action == "block" and len(blocked) < _EXAMPLES_MAX:
            blocked.append(job.id)
    return {
        "jobs": seen,
        "actions": dict(actions.most_common()),
        "kinds": dict(kinds.most_common()),
        "blocked": blocked,
    }


def _texts(value: Any) -> "list[str]":
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else []


def _read(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(
            f"neither a template nor a readable JSON file: {error}", param_hint="POLICY"
        ) from error


def _scope(project: str | None, key: str | None) -> dict[str, Any]:
    if project and key:
        raise typer.BadParameter("use --project or --key, not both", param_hint="--key")
    if project or key:
        return {"scope": "project" if project else "key", "scope_id": project or key}
    return {}


def _refusals(output: Output, found: "BudgetBacktest | LimitBacktest") -> None:
    if found.first_at is None:
        return
    output.show(f"for the first time {found.first_at:%Y-%m-%d %H:%M:%S} UTC, by day:")
    for day, count in sorted(found.by_day.items()):
        output.show(f"  {day}  {count:,}")
    output.show("for example:", *(f"  {job_id}" for job_id in found.examples))
