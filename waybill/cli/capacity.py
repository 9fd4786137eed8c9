"""``waybill capacity``: estimates what a load needs from measured unit costs."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.exits import EPILOG
from waybill.cli.options import Json
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.capacity.load import PoolLoad

_LOAD, _LIMITS = "The load", "Available resources"
_NUMBER = r"(\d+(?:\.\d+)?)"
_POOL = re.compile(rf"([a-z_][a-z0-9_]*)={_NUMBER}(%?):{_NUMBER}(?::{_NUMBER})?")
_WHOLE = 1e-6


def register(app: typer.Typer, rich_help_panel: str) -> None:
    """Add the command to the root command."""
    app.command(epilog=EPILOG, rich_help_panel=rich_help_panel)(capacity)


def capacity(
    jobs_per_minute: Annotated[
        float, typer.Option(min=0.001, show_default=False, help="Jobs per minute at peak.", rich_help_panel=_LOAD)
    ],
    pool: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SHARE:SECONDS[:CPU]",
            show_default="a mix of all pools",
            help="A pool's share of the jobs, their mean duration and CPU seconds. Once per pool.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    payload_kb: Annotated[
        float, typer.Option(min=0, help="Size of a job's input and result together.", rich_help_panel=_LOAD)
    ] = 4.0,
    model_calls: Annotated[float, typer.Option(min=0, help="Model calls per job.", rich_help_panel=_LOAD)] = 3.0,
    deltas: Annotated[float, typer.Option(min=0, help="Streamed text deltas per job.", rich_help_panel=_LOAD)] = 50.0,
    webhooks: Annotated[float, typer.Option(min=0, help="Webhooks per job.", rich_help_panel=_LOAD)] = 0.0,
    streams: Annotated[
        float | None,
        typer.Option(
            min=0,
            show_default="one for every running job",
            help="Concurrent event streams.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    retention_days: Annotated[
        float, typer.Option(min=1, help="Retention period of payloads and events.", rich_help_panel=_LOAD)
    ] = 90.0,
    average_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Mean load over a month as a share of the peak, for storage.",
            rich_help_panel=_LOAD,
        ),
    ] = 1.0,
    headroom: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of every resource to keep free.", rich_help_panel=_LIMITS)
    ] = 0.3,
    postgres_cores: Annotated[float, typer.Option(min=0.1, help="Postgres CPU cores.", rich_help_panel=_LIMITS)] = 8,
    postgres_iops: Annotated[
        float, typer.Option(min=1, help="Postgres disk operations per second.", rich_help_panel=_LIMITS)
    ] = 2300,
    postgres_mb_per_second: Annotated[
        float, typer.Option(min=1, help="Postgres disk throughput.", rich_help_panel=_LIMITS)
    ] = 150,
    postgres_connections: Annotated[
        int, typer.Option(min=1, help="Maximum Postgres connections.", rich_help_panel=_LIMITS)
    ] = 3422,
    postgres_storage_gb: Annotated[
        float, typer.Option(min=1, help="Maximum Postgres storage.", rich_help_panel=_LIMITS)
    ] = 32_768,
    redis_gb: Annotated[float, typer.Option(min=0.1, help="Redis memory.", rich_help_panel=_LIMITS)] = 6,
    as_json: Json = False,
) -> None:
    """Estimate what a load needs: pods, connections, CPU, writes, storage, and which resource runs out first.

    Works offline. The figures are measured unit costs (docs/reference/capacity.md) multiplied by the load.
    Example: waybill capacity --jobs-per-minute 1000 --pool knowledge=80%:4 --pool research=20%:180
    """
    from waybill.capacity import view
    from waybill.capacity.load import DEFAULT_MIX, Limits, Load
    from waybill.capacity.model import as_document, plan
    from waybill.capacity.units import measured_units

    units = measured_units()
    load = Load(
        jobs_per_minute=jobs_per_minute,
        pools=_mix(pool) if pool else DEFAULT_MIX,
        payload_kb=payload_kb,
        model_calls=model_calls,
        deltas=deltas,
        webhooks=webhooks,
        streams=streams,
        retention_days=retention_days,
        average_share=average_share,
        headroom=headroom,
    )
    limits = Limits(
        postgres_cores=postgres_cores,
        postgres_iops=postgres_iops,
        postgres_mb_per_second=postgres_mb_per_second,
        postgres_connections=postgres_connections,
        postgres_storage_gb=postgres_storage_gb,
        redis_gb=redis_gb,
    )
    found = plan(load, limits, units)
    output = Output(as_json=as_json)
    output.answer(as_document(found, units), *view.lines(found, units))


def _mix(texts: list[str]) -> "dict[str, PoolLoad]":
    from waybill.capacity.load import PoolLoad

    pools = {}
    for text in texts:
        match = _POOL.fullmatch(text)
        if match is None:
            raise typer.BadParameter(f"{text} is not NAME=SHARE:SECONDS, such as knowledge=60%:4", param_hint="--pool")
        name, share, percent, seconds, cpu = match.groups()
        if name in pools:
            raise typer.BadParameter(f"{name} is given twice", param_hint="--pool")
        pools[name] = PoolLoad(float(share) / (100 if percent else 1), float(seconds), float(cpu or 0))
    total = sum(each.share for each in pools.values())
    if abs(total - 1) > _WHOLE:
        raise typer.BadParameter(f"the shares add up to {total:.1%}, not to 100%", param_hint="--pool")
    return pools
