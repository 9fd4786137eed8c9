"""A plan for people: plain tables, in a terminal and in the documentation."""

from collections.abc import Iterator, Sequence

from waybill.capacity.model import REMEDIES, Plan, assumptions
from waybill.capacity.units import Units

Row = Sequence[str]


def lines(found: Plan, units: Units) -> Iterator[str]:
    """The whole plan, line by line."""
    load = found.load
    at_once = f"{load.running_jobs:,.0f} run at once, {load.open_streams:,.0f} streams are open"
    yield f"{load.jobs_per_minute:,.0f} jobs a minute: {at_once}"
    yield ""
    yield from _table(("PODS", "", "MEMORY", "BECAUSE OF"), pods(found))
    yield ""
    yield from _table(("NEEDED", ""), needs(found))
    yield ""
    yield from _table(("RESOURCE", "NEEDED", "USABLE", "USED", "FULL AT JOBS/MIN"), uses(found))
    yield ""
    first = found.bottleneck
    full = ", ".join(use.resource for use in found.uses if use.share > 1)
    yield f"Full first as the load grows: {first.resource}."
    yield f"Too small for this load: {full or 'nothing'}."
    yield f"What moves it: {REMEDIES[first.resource]}"
    yield ""
    yield "Assumed:"
    yield from (f"  - {each}" for each in assumptions(load))
    yield f"Measured with {units.measured['command']} on {units.measured['on']} ({units.measured['machine']})."


def pods(found: Plan) -> list[Row]:
    """A row for each kind of process and each pool."""
    return [
        (
            each.kind if each.pool is None else f"worker, {each.pool}",
            f"{each.count:,}",
            f"{each.memory_mb:,} MB",
            each.reason,
        )
        for each in found.pods
    ]


def needs(found: Plan) -> list[Row]:
    """A row for each figure beyond the limited resources."""
    months = ", ".join(
        f"{retention.replace('_', ' ')} {size:,.1f}" for retention, size in found.storage_gb_per_month.items()
    )
    return [
        ("Postgres connections", f"{found.connections:,}"),
        ("with PgBouncer, to Postgres", f"{found.connections_pooled:,}"),
        ("Postgres processor, cores", f"{found.postgres_cores:,.2f}"),
        ("statements/s", f"{found.statements_per_second:,.0f}"),
        ("write operations/s", f"{found.write_operations_per_second:,.0f}"),
        ("WAL, MB/s", f"{found.wal_mb_per_second:,.2f}"),
        ("Redis commands/s", f"{found.redis_commands_per_second:,.0f}"),
        ("Redis processor, cores", f"{found.redis_cores:,.2f}"),
        ("storage a month, GB", f"{sum(found.storage_gb_per_month.values()):,.1f} ({months})"),
        ("storage when retention has caught up, GB", f"{found.storage_gb_kept:,.0f}"),
    ]


def uses(found: Plan) -> list[Row]:
    """A row for each resource that does not scale out, in the order in which they are full."""
    return [
        (
            use.resource,
            f"{use.needed:,.3g} {use.unit}" if use.needed < 10 else f"{use.needed:,.0f} {use.unit}",  # noqa: PLR2004
            f"{use.usable:,.3g}" if use.usable < 10 else f"{use.usable:,.0f}",  # noqa: PLR2004
            f"{use.share:.0%}",
            f"{_two_digits(use.full_at_jobs_per_minute):,.0f}",
        )
        for use in found.uses
    ]


def _two_digits(value: float) -> float:
    """Two digits: no model of this kind is more accurate."""
    return float(f"{value:.2g}")


def _table(heading: Row, rows: Sequence[Row]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in (heading, *rows)) for column in range(len(heading))]
    for row in (heading, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
