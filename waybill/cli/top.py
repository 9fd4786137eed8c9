"""``waybill top``: a live view of recent jobs, latencies and costs."""

from datetime import UTC, datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import RenderableType

    from waybill.client import WaybillClient
    from waybill.client.models import MetricsLine, MetricsReport, Quantiles

_BARS = "▁▂▃▄▅▆▇█"
_MINUTES_MAX = 180


def register(app: typer.Typer, rich_help_panel: str) -> None:
    """Add the command."""
    app.command(rich_help_panel=rich_help_panel, epilog=EPILOG)(top)


def top(
    minutes: Annotated[int, typer.Option(min=1, max=_MINUTES_MAX, help="Minutes to look back.")] = 15,
    group_by: Annotated[
        Literal["capability", "project", "model", "key"],
        typer.Option("--group-by", "-g", help="Show one line per group."),
    ] = "capability",
    every: Annotated[float, typer.Option(min=0.5, max=3600, help="Seconds between refreshes.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show the view once and exit.")] = False,
    project: Annotated[
        str | None,
        typer.Option(metavar="PROJECT_ID", show_default="all that the key can see", help="Only this project."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Watch recent jobs, error rates, latencies and costs. Press Ctrl-C to exit.

    Example: waybill top --minutes 60 --group-by model
    """
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = _read(client, minutes, group_by, project)
        if as_json:
            output.document(found.as_json())
            return
        if once or not output.is_live:
            output.show(*_picture(found, minutes))
            return
        from rich.console import Group
        from rich.live import Live

        with Live(Group(*_picture(found, minutes)), console=output.console, auto_refresh=False, screen=True) as live:
            try:
                while True:
                    sleep(every)
                    live.update(Group(*_picture(_read(client, minutes, group_by, project), minutes)), refresh=True)
            except KeyboardInterrupt:
                return


def _read(client: "WaybillClient", minutes: int, group_by: str, project: str | None) -> "MetricsReport":
    begins = datetime.now(UTC) - timedelta(minutes=minutes)
    return client.metrics.read(begins=begins.isoformat(), interval="minute", group_by=group_by, project=project)


def _picture(found: "MetricsReport", minutes: int) -> "list[RenderableType]":
    from waybill.cli.tables import table

    total = found.total
    jobs = total.jobs or {}
    ended = sum(jobs.values())
    head = (
        f"{ended:,} jobs in {minutes} min ({ended / minutes:.1f} a minute), {_share(total.error_rate)} failed,"
        f" wait p95 {_seconds(total.wait_seconds, 'p95')}, run p95 {_seconds(total.duration_seconds, 'p95')},"
        f" {_usd(total.amount_usd, total.calls)} for {total.calls:,} model calls"
    )
    names = list(found.data[0].group) if found.data else [found.group_by or "group"]
    made = table(
        *(name.removesuffix("_id").upper() for name in names),
        *("JOBS", "A MINUTE", "FAILED", "WAIT P95", "RUN P50", "RUN P95", "CALLS", "CALL P95", "USD"),
    )
    for line in found.data:
        made.add_row(*(line.group[name] or "" for name in names), *_cells(found, line))
    shown: list[RenderableType] = [head, "", made if found.data else "No jobs ended in that time.", ""]
    backlog = table("NOT ENDED", "STATE", "JOBS", "OLDEST")
    for waiting in found.backlog:
        age = (found.as_of - waiting.oldest_at).total_seconds()
        backlog.add_row(waiting.capability, waiting.state, f"{waiting.jobs:,}", _short(max(0.0, age)))
    if found.backlog:
        shown += [backlog, ""]
    shown.append(f"as of {found.as_of:%H:%M:%S} UTC")
    return shown


def _cells(found: "MetricsReport", line: "MetricsLine") -> list[str]:
    jobs = sum(line.jobs.values()) if line.jobs is not None else None
    return [
        "" if jobs is None else f"{jobs:,}",
        _spark(found, line),
        "" if line.jobs is None else _share(line.error_rate),
        _seconds(line.wait_seconds, "p95"),
        _seconds(line.duration_seconds, "p50"),
        _seconds(line.duration_seconds, "p95"),
        f"{line.calls:,}",
        _seconds(line.call_seconds, "p95"),
        _usd(line.amount_usd, line.calls),
    ]


def _spark(found: "MetricsReport", line: "MetricsLine") -> str:
    """What ended in each minute, as a row of bars: jobs, or calls where calls are grouped."""
    minutes = max(1, round((found.ends - found.begins).total_seconds() / 60))
    counts = [0] * min(minutes, _MINUTES_MAX)
    for point in found.series:
        at = int((point.at - found.begins).total_seconds() // 60)
        if point.group == line.group and 0 <= at < len(counts):
            counts[at] += point.calls if point.jobs is None else sum(point.jobs.values())
    counts = counts[-30:]
    highest = max(counts, default=0)
    return "".join(_BARS[round(count / highest * (len(_BARS) - 1))] if count else " " for count in counts)


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _seconds(quantiles: "Quantiles | None", name: str) -> str:
    value = None if quantiles is None else getattr(quantiles, name)
    return "-" if value is None else _short(value)


def _short(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:  # noqa: PLR2004 - two minutes still read well as seconds
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"  # noqa: PLR2004


def _usd(amount: "Decimal | None", calls: int) -> str:
    if amount is None:
        return "not priced" if calls else "-"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.6f}"
