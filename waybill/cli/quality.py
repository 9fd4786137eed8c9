"""``waybill quality``: monitor the quality of results."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waybill.client.models import QualityAlert, QualityLine, QualitySummary

app = typer.Typer(no_args_is_help=True, help="Monitor, label and gate the quality of results.", epilog=EPILOG)

AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id: qal_….", show_default=False)]
_STATES = {"open": "red", "acknowledged": "yellow", "closed": "dim"}


@app.command(epilog=EPILOG)
def show(
    capability: Annotated[
        str | None,
        typer.Argument(
            metavar="CAPABILITY", show_default="all", help="Only this capability, such as knowledge.search."
        ),
    ] = None,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            "--signal", "-s", show_default="all", help="Only this signal, such as quotes_verified. Repeatable."
        ),
    ] = None,
    begins: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", show_default="a week ago", help="Jobs that ended on or after this day."),
    ] = None,
    ends: Annotated[
        str | None,
        typer.Option("--to", metavar="DAY", show_default="the end of today", help="Jobs that ended before this day."),
    ] = None,
    step: Annotated[Literal["hour", "day"], typer.Option(help="Time span of one point of the plotted line.")] = "day",
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", show_default="model_version", help="model_version, prompt_version or project. Repeatable."
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(metavar="PROJECT_ID", show_default="all that the key can see", help="Only this project: prj_…."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show each signal by version, with its 95 % interval and its trend.

    Example: waybill quality show knowledge.search --signal quotes_verified --step hour
    """
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        summary = client.quality.summary(
            capability=capability, signals=signal or (), group_by=by or (), begins=begins, ends=ends, project=project
        )
        if as_json:
            output.document(summary.as_json())
            return
        series = client.quality.series(
            step=step,
            capability=capability,
            signals=signal or (),
            group_by=by or (),
            begins=begins,
            ends=ends,
            project=project,
        )
    if not summary.data:
        output.note("no jobs ended in that time; signals appear a few seconds after a job ends")
        return
    from waybill.cli.quality_plot import sparkline
    from waybill.cli.tables import table

    drawn = {_key(line): sparkline(line, series) for line in series.data}
    made = table("CAPABILITY", "SIGNAL", "VERSION", *(("PROMPT",) if "prompt_version" in (by or ()) else ()))
    for name in ("MEAN", "95 % INTERVAL", "JOBS", f"BY {step.upper()}"):
        made.add_column(name)
    for each in summary.data:
        prompt = ((each.prompt_version or "")[:19],) if "prompt_version" in (by or ()) else ()
        made.add_row(
            each.capability,
            each.signal,
            version_words(each),
            *prompt,
            _number(each, each.estimate),
            f"{_number(each, each.low)} to {_number(each, each.high)}",
            str(each.jobs),
            drawn.get(_key(each), ""),
        )
    output.show(made)


@app.command(epilog=EPILOG)
def alerts(
    state: Annotated[
        Literal["open", "acknowledged", "closed"] | None,
        typer.Option(show_default="all", help="Only alerts in this state."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the organization's quality alerts, newest first."""
    from rich.text import Text

    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.quality.alerts(state=state, limit=limit, cursor=cursor)
    if as_json:
        output.document(page.as_json())
        return
    if not page.data:
        output.note("no quality alerts")
        return
    made = table("ALERT", "STATE", "CAPABILITY", "SIGNAL", "VERSION", "CHANGE", "RAISED")
    for each in page.data:
        made.add_row(
            each.id,
            Text(each.state, _STATES.get(each.state, "")),
            each.capability,
            each.signal,
            version_words(each),
            _change(each),
            moment(each.raised_at),
        )
    output.show(made)
    output.more(page.next_cursor)


@app.command(epilog=EPILOG)
def alert(alert_id: AlertId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show an alert: what changed, when, and the jobs that changed most."""
    with connect(url, api_key) as client:
        found = client.quality.alert(alert_id)
    _show(as_json, found)


@app.command(epilog=EPILOG)
def acknowledge(alert_id: AlertId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Acknowledge an open alert."""
    with connect(url, api_key) as client:
        changed = client.quality.acknowledge(alert_id)
    _show(as_json, changed)


@app.command(epilog=EPILOG)
def close(
    alert_id: AlertId,
    reason: Annotated[str | None, typer.Option(show_default=False, help="Reason, stored with the alert.")] = None,
    new_normal: Annotated[bool, typer.Option("--new-normal", help="Learn a new baseline from the next jobs.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Close an alert and watch the signal again, against its old baseline or a new one."""
    with connect(url, api_key) as client:
        changed = client.quality.close_alert(alert_id, reason=reason, is_new_normal=new_normal)
    _show(as_json, changed)


def version_words(each: "QualitySummary | QualityAlert") -> str:
    """``answers v3``, the name of a model without a version, or a hyphen for jobs without a model."""
    if each.model is not None and each.version is not None:
        return f"{each.model} v{each.version}"
    return each.model_version or "-"


def _key(each: "QualitySummary | QualityLine") -> tuple[str | None, ...]:
    return (each.capability, each.signal, each.model_version, each.prompt_version, each.project_id)


def _number(each: "QualitySummary", value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.3f}" if each.kind in {"rate", "score"} else f"{value:.4g} {each.unit}"


def _change(each: "QualityAlert") -> str:
    if each.baseline.mean is None or each.observed.mean is None:
        return "drift"
    return f"{each.baseline.mean:.4g} → {each.observed.mean:.4g}"


def _show(as_json: bool, each: "QualityAlert") -> None:
    from waybill.cli.tables import moment

    output = Output(as_json=as_json)
    if as_json:
        output.document(each.as_json())
        return
    kind = "is worse" if each.is_worse else "has drifted"
    lines: Sequence[str] = [
        f"{each.id} is {each.state}",
        f"{each.signal} of {each.capability} {kind}: {_change(each)}",
        f"version   {version_words(each)}",
        f"since     {moment(each.began_at)}, {each.observed.jobs:,} jobs; before, {each.baseline.jobs:,} jobs"
        + (f" of {each.baseline.model_version}" if each.baseline.model_version else ""),
        f"raised    {moment(each.raised_at)}",
    ]
    output.show(*lines)
    if each.reason:
        output.show(f"reason    {each.reason}")
    output.show("jobs that changed most:")
    for job_id in each.job_ids:
        output.show(f"  {job_id}")
